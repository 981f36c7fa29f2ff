"""The command line: one table from a command to the module that does it."""

import difflib
import os
import signal
import sys
from typing import NamedTuple, NoReturn


class Command(NamedTuple):
    """A module that `python -m` can run, and its one line of help."""

    module: str
    help: str


COMMANDS = {
    "data": Command(
        "unblur.commands.data", "get a dataset: `data starter` fetches free photographs, `data import` reads yours"
    ),
    "compose": Command("unblur.stages.compose", "compose the configuration into one file"),
    "check-data": Command("unblur.stages.check_data", "find what would poison training"),
    "prepare": Command("unblur.stages.prepare", "make the fixed validation and test pairs"),
    "train": Command("unblur.stages.train", "train a network"),
    "sweep": Command("unblur.commands.sweep", "train with values that Optuna chooses, and say which are the best"),
    "sync-metrics": Command("unblur.commands.sync_metrics", "send what trainings kept while MLflow's server was away"),
    "evaluate": Command("unblur.stages.evaluate", "score the trained network and the baselines on the test pairs"),
    "score": Command("unblur.commands.score", "measure a model on a folder of blurred and sharp pictures of one name"),
    "prune": Command("unblur.stages.prune", "make a smaller network of the trained one, which teaches it"),
    "quantize": Command("unblur.stages.quantize", "store networks in fewer bits, within a budget in dB"),
    "export": Command("unblur.stages.export", "write ONNX and torch.export files, checked against PyTorch"),
    "benchmark": Command("unblur.stages.benchmark", "measure latency, memory and size of every variant"),
    "explain-pairs": Command("unblur.stages.explain", "bound the model's errors, and explain a few test pairs"),
    "report": Command("unblur.stages.report", "write the HTML report and the metrics that DVC compares"),
    "new": Command("unblur.commands.new", "write the files of a new network, layout or stage"),
    "why": Command("unblur.commands.why", "say which stages are stale, because of which module, key or file"),
    "register": Command("unblur.commands.register", "put the exported model into the MLflow registry"),
    "gate": Command("unblur.commands.gate", "hold the candidate against the rules and the champion"),
    "promote": Command("unblur.commands.promote", "make the candidate that passed the gate the champion"),
    "rollback": Command(
        "unblur.commands.rollback", "take the champion back to the last version that was not rolled back"
    ),
    "release": Command("unblur.commands.release", "register, gate, promote and summary in one go"),
    "retrain": Command("unblur.commands.retrain", "train where there is a reason to, gate, and propose the result"),
    "verify": Command("unblur.commands.verify", "say whether a model is what was registered and signed"),
    "registry": Command("unblur.commands.registry", "check: aliases against the ledger; clean: what nobody needs goes"),
    "import-weights": Command(
        "unblur.commands.import_weights", "read an official checkpoint: NAFNet, Restormer, ESTRNN"
    ),
    "models": Command("unblur.commands.models", "list the models that can be had by name; get one, check those here"),
    "doctor": Command("unblur.commands.doctor", "say what is well and how to mend the rest: machine, stores, registry"),
    "summary": Command("unblur.commands.summary", "show what the pipeline has reached"),
    "explain": Command(
        "unblur.commands.explain", "say why a model restored a photograph so, with maps that are tested"
    ),
    "restore": Command("unblur.commands.restore", "take the blur out of a photograph or a folder of them"),
    "serve": Command("unblur.commands.serve", "answer photographs over HTTP"),
    "drift": Command("unblur.commands.drift", "say whether photographs and answers are still of the kind they were"),
}

USAGE = "usage: unblur COMMAND [OPTIONS] [OVERRIDES]"


def main() -> NoReturn:
    """Replace this process by the command's module.

    The process is replaced (execv) rather than the module called, so that whoever relaunches it from
    `python -m MODULE` and sys.argv, as distributed training does, gets the same command again.
    """
    name, *rest = sys.argv[1:] or ["--help"]
    if name in {"-h", "--help", "help"}:
        print(help_text())
        sys.exit(0)
    if name == "--version":
        from unblur import __version__

        print(f"unblur {__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`unblur --help` lists the commands."
        print(f"error: there is no command {name!r}; {hint}", file=sys.stderr)
        sys.exit(2)
    sys.stdout.flush()
    # Held back until the command can answer them with its one line (`config.entry.catch_signals`).
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # what is wrong with a picture is told in a line of our own
    os.execv(sys.executable, [sys.executable, "-m", COMMANDS[name].module, *rest])  # noqa: S606


def help_text() -> str:
    """Return the page that `unblur --help` shows."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            USAGE,
            "",
            "commands:",
            *lines,
            "",
            "Pipeline commands take Hydra overrides, such as `unblur train model=nafnet seed=9`, and Hydra's own",
            "options (--cfg job, --info, -m). `unblur COMMAND --help` tells the rest; --debug shows tracebacks.",
            "What unblur did not make is never replaced; --overwrite has it replaced. `paths` may lead out of the",
            "project with --outside alone.",
            "exit codes: 0 done, 1 error, 2 wrong usage, 3 refused by the promotion gate, 4 drift found;",
            "stopped by a signal: 129 SIGHUP, 130 SIGINT (Ctrl-C), 143 SIGTERM",
        ]
    )
