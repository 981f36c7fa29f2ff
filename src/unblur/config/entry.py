"""How a command starts and ends: Hydra or argparse in front, one line and an exit code for every mistake or signal."""

import atexit
import functools
import gc
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from unblur.config.failures import explain, of_worker
from unblur.config.processes import is_first_process
from unblur.config.renamed import as_called_now
from unblur.config.root import OUTSIDE, require_folder_inside, require_inside
from unblur.errors import UnblurError, UsageError, one_line
from unblur.safety.owned import OVERWRITE
from unblur.safety.secrets import mask_output, masked

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from unblur.config.schema import PipelineConfig

# The pipeline's folders are given by `paths`; Hydra shall make none of its own for a single run.
QUIET = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none")
HYDRA_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
HYDRA_KEYS = (*HYDRA_FOLDERS, "hydra.job.name", "hydra.output_subdir", "hydra.mode")
INTERPOLATED = re.compile(r"\$\{(now:[%\w:/ -]*|hydra:[\w.]+|[\w.]+)\}")
OTHER_FOLDERS = "the configuration is that of conf/, or a composed file given by --config FILE; no other is taken"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # ends with 143, 130, 129
_ONE_STOP = 1.0  # seconds: a terminal and a parent process often send the same signal one after the other
DEBUG = "UNBLUR_DEBUG"
MODES = ("--run", "-r", "--multirun", "-m", "--cfg", "-c", "--info", "-i")
# Hydra's options that take a value.
_VALUED = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}


# Where PyTorch was imported, Python looks through all of it for cycles before it ends, for 0.7 s: nobody needs that.
atexit.register(gc.freeze)


class Stopped(SystemExit):
    """A signal asks the command to end. No KeyboardInterrupt: Lightning would end with another exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


def stage(run: "Callable[[PipelineConfig], None]") -> Callable[[], None]:
    """Make a Hydra command of a function that takes the whole configuration.

    `--config FILE` takes an already composed file instead of conf/; `--overwrite` replaces folders that unblur did not
    make; `--outside` lets `paths` lead out of the project; `--debug` shows tracebacks.
    In a multirun each job trains into the folder that Hydra gives it.
    """

    @functools.wraps(run)
    def main() -> None:
        with exit_codes():
            _hydra_arguments()
            _hydra_run(run)

    return main


def command(run: Callable[[list[str]], int | None]) -> Callable[[], None]:
    """Make a command of a function that takes the argument list and returns the exit code (None is 0)."""

    @functools.wraps(run)
    def main() -> None:
        with exit_codes():
            _take("--debug", DEBUG)
            code = run(sys.argv[1:])
            sys.stdout.flush()
            sys.exit(code or 0)

    return main


@contextmanager
def exit_codes(job: str = "", overrides: Sequence[str] = ()) -> Iterator[None]:
    """Print an error as one line and leave with its exit code; with `--debug` the traceback comes first.

    Args:
        job: of a multirun, which stands before the message.
        overrides: named where nobody has foreseen the error: most often one of them is its cause.

    A signal of `SIGNALS` ends the block like an error, so that unfinished files go and those that are there stay. All
    that is printed from now on, by whomever, is without credentials.
    """
    given = f", given {' '.join(overrides)}" if overrides and not job else ""
    mask_output()
    before: dict[signal.Signals, object] = {number: signal.getsignal(number) for number in SIGNALS}
    unraisable_before = sys.unraisablehook
    sys.unraisablehook = _send_again
    if signal.getsignal(signal.SIGTERM) is not _STOP:  # else a job in a command, which may have been stopped before it
        _STOP.forget()
    try:
        catch_signals()
        if _STOP.taken:  # and a library has gone on all the same
            raise Stopped(_STOP.taken)
        yield
    except UnblurError as error:
        _fail(job + of_worker(str(error)), error.exit_code)
    except Stopped as stopped:
        before = dict.fromkeys(before, signal.SIG_IGN)  # on the way out a second one shall not change the code
        _fail(*_end(stopped.signal))
    except KeyboardInterrupt:
        _fail(*_end(signal.SIGINT))
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        text = " ".join(str(error).split()) or "no message"
        unforeseen = (
            f"unexpected {type(error).__name__}{given}: {text[:500]} (run again with --debug for the traceback)"
        )
        _fail(job + (explain(error) or unforeseen), 1)
    finally:
        sys.unraisablehook = unraisable_before
        for number, handler in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                _handle(number, handler)


def catch_signals() -> None:
    """Raise `Stopped` at each signal of `SIGNALS`, but for those that are ignored, as under nohup.

    One that came while the command was starting, which `unblur.cli` holds back, is raised at once.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            _handle(number, _STOP)
    if threading.current_thread() is threading.main_thread():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class _Stop:
    """The handler of signals; `taken` is the one that asked this command to end."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.last = float("-inf")
        self.taken: signal.Signals | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        repeated = time.monotonic() - self.last < _ONE_STOP
        self.last, self.taken = time.monotonic(), signal.Signals(number)
        if not repeated:
            raise Stopped(number)


_STOP = _Stop()


def _send_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again that came in a callback, as of a weak reference: Python only prints what is raised there."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
        return
    _STOP.last = float("-inf")
    main = threading.main_thread().ident or 0
    again = threading.Timer(0.05, signal.pthread_kill, (main, lost.exc_value.signal))  # not into this very hook
    again.daemon = True
    again.start()


def _end(number: signal.Signals) -> tuple[str, int]:
    """Return the line and the exit code of a command that a signal has ended."""
    return f"stopped by {number.name}; run the same command again to go on", 128 + number


def _handle(number: int, handler: object) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _nobody_reads() -> bool:
    """Tell whether what is printed goes into a pipe whose reader has ended, such as `head`."""
    try:
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
    except OSError:  # no file at all
        return False
    return any(state & select.POLLERR for _, state in pipe.poll(0))


def _fail(message: str, code: int) -> None:
    if _STOP.taken:  # a library may turn the stop into an error of its own
        message, code = _end(_STOP.taken)
    if os.environ.get(DEBUG):
        traceback.print_exc()
    sys.stdout.flush()
    if code <= 128 or is_first_process():  # of a training in many processes, one speaks
        tell("error", message)
    sys.exit(code)


def tell(kind: str, text: str) -> None:
    """Print an "error" or a "note" as one line on stderr, whatever names of files are in it."""
    print(f"{kind}: {one_line(masked(text))}", file=sys.stderr, flush=True)


def _take(flag: str, variable: str) -> None:
    if flag in sys.argv[1:]:
        sys.argv = [item for item in sys.argv if item != flag]
        os.environ[variable] = "1"


def _hydra_arguments() -> None:
    """Rewrite sys.argv into what Hydra understands; children of distributed training inherit the result."""
    for flag, variable in (("--debug", DEBUG), ("--overwrite", OVERWRITE), ("--outside", OUTSIDE)):
        _take(flag, variable)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises; exit_codes() prints.
    rest = as_called_now(sys.argv[1:])
    if "--config" in rest:
        at = rest.index("--config")
        if at + 1 >= len(rest):
            msg = "--config needs a file: the output of `unblur compose --out FILE`"
            raise UsageError(msg)
        path = Path(rest[at + 1]).resolve()
        if not path.is_file() or path.suffix != ".yaml":
            msg = f"{path}: there is no such configuration file; write one with `unblur compose --out FILE.yaml`"
            raise UsageError(msg)
        rest[at : at + 2] = ["--config-path", str(path.parent), "--config-name", path.stem]
    _refuse_hydra(rest)
    _refuse_modes(rest)
    missing = [item for item in QUIET if not any(given.startswith(item.split("=")[0] + "=") for given in rest)]
    sys.argv = [sys.argv[0], *_options_first(rest), *missing]


def _options_first(arguments: list[str]) -> list[str]:
    """Put options before overrides: Hydra's parser takes overrides in one piece only."""
    options: list[str] = []
    overrides: list[str] = []
    before = ""
    for item in arguments:
        takes_it = before in _VALUED or (before in {"--info", "-i"} and "=" not in item)
        (options if item.startswith("-") or takes_it else overrides).append(item)
        before = item
    return [*options, *overrides]


def _refuse_modes(arguments: list[str]) -> None:
    """Hydra's own complaint about two of these is no line of ours, and completion is for a shell, not for a command."""
    given = [item for item in arguments if item in MODES or item.startswith(("--shell", "-sc"))]
    if len(given) > 1 or any(item.startswith(("--shell", "-sc")) for item in given):
        msg = f"{' and '.join(given)}: give one of {', '.join(MODES)}, or none"
        raise UsageError(msg)


def _refuse_hydra(arguments: list[str]) -> None:
    """Hydra builds its callbacks, launcher, sweeper and logging past `config.instantiate`: nobody may name others."""
    from unblur.config.compose import check_composed

    given = [item for item in arguments if item.startswith("--config-")]
    if given not in ([], ["--config-path", "--config-name"]):
        raise UsageError(OTHER_FOLDERS)
    for item in arguments:
        key = item.partition("=")[0].lstrip("+~")
        if item not in given and item.startswith(("-cp", "-cn", "-cd", "--con", "--e")):
            raise UsageError(OTHER_FOLDERS)
        if any(part.startswith("hydra") for part in key.split("@")) and item not in QUIET and key not in HYDRA_KEYS:
            msg = f"override {item!r}: of Hydra's own keys only {', '.join(HYDRA_KEYS)} may be set"
            raise UsageError(msg)
        if key in HYDRA_KEYS and "${" in INTERPOLATED.sub("", item):
            msg = f"override {item!r}: reads more than the time and other keys, such as the environment; write it out"
            raise UsageError(msg)
        if key in HYDRA_FOLDERS:
            require_folder_inside(key, INTERPOLATED.sub("x", item.partition("=")[2].strip("'\"")))
    if given:
        folder, name = (arguments[arguments.index(flag) + 1] for flag in given)
        check_composed(Path(folder) / f"{name}.yaml")


def _hydra_run(run: "Callable[[PipelineConfig], None]") -> None:
    import hydra

    from unblur.config.compose import COMPOSITION_ERRORS, checked, composition_error, config_dir

    failed: list[int] = []

    def task(config: "DictConfig") -> None:
        job, given = _job()
        try:
            with exit_codes(job, given):
                settings = checked(config)
                settings = _apart(settings)
                require_inside(settings.paths)
                run(settings)
        except SystemExit as ended:
            if not job or not isinstance(ended.code, int) or ended.code > 128:
                raise
            failed.append(ended.code)  # the other jobs of the multirun go on

    overrides = [item for item in sys.argv[1:] if "=" in item and not item.startswith(("-", "hydra"))]
    try:
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(task)()
    except COMPOSITION_ERRORS as error:
        raise composition_error(error, overrides) from error
    if any(failed):
        sys.exit(next(filter(None, failed)))


def _job() -> tuple[str, list[str]]:
    """Return the job of a multirun as it stands before its errors, "" in a single run; and its overrides."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra_config = HydraConfig.get()
    given = list(hydra_config.overrides.task)
    if hydra_config.mode != RunMode.MULTIRUN:
        return "", given
    return f"job {hydra_config.job.num} ({', '.join(given)}): ", given


def _apart(config: "PipelineConfig") -> "PipelineConfig":
    """In a multirun, send what training and evaluation write into the job's own folder."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        if "strategy" in config.trainer:
            msg = (
                "a multirun (-m) cannot start distributed trainings: each process would get a job folder of its own; "
                "take trainer=cpu or trainer=gpu, or one command for each setting"
            )
            raise UsageError(msg)
        folder = Path(hydra_config.runtime.output_dir)
        for name in (
            *("train", "checkpoints", "evaluate", "prune", "quantize"),
            *("export", "benchmark", "explain", "registry", "reports"),
        ):
            setattr(config.paths, name, str(folder / name))
    return config
