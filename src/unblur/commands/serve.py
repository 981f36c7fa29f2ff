"""`unblur serve`: answer photographs over HTTP."""

import argparse
import math
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import Stopped, command
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from unblur.drift.recorder import Recorder
    from unblur.serving.challenger.canary import Canary
    from unblur.serving.challenger.shadow import Shadow
    from unblur.serving.settings import Settings


MOST = 1e8  # of a number: three years of seconds, or 100 TB; what is larger, clocks and the system do not take


@command
def main(argv: list[str]) -> int:
    """Load the model, then serve until a signal asks to stop: requests under way are finished, the exit code is 0."""
    options = parse(argv)

    from unblur.serving.running import Running

    app = app_of(options)
    listening = _listen(options.host, options.port)
    where, rpc = f"http://{_shown(options.host, listening.getsockname()[1])}", ""
    if options.grpc_port is not None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it cannot do for a client it would write to stderr
        _listen(options.host, options.grpc_port).close()  # gRPC's own message would say no reason
        rpc = _shown(options.host, options.grpc_port)
        where += f", gRPC at {rpc}"
    print(f"{app.state.served.now.model.name} at {where}", file=sys.stderr, flush=True)
    try:
        Running(app, rpc, options.grace).run(sockets=[listening])
    except Stopped:  # uvicorn has finished what was under way, and raises the signal once more
        return 0
    finally:
        settings = app.state.desk.settings
        settings.traces.close()
        if settings.statistics:
            settings.statistics.close()
    return 0


def app_of(options: argparse.Namespace) -> "FastAPI":
    """Load the model that the options of `unblur serve` name, and return what answers, within their limits."""
    from PIL import Image

    from unblur.safety.inputs import pixels_of
    from unblur.serving.app import make_app
    from unblur.serving.served import load_served
    from unblur.serving.settings import Settings, keys_of_environment, read_keys
    from unblur.serving.tracing import traces_of_environment
    from unblur.serving.watching import log_to_stdout

    keys = (*(read_keys(options.keys) if options.keys else ()), *keys_of_environment(os.environ.get("UNBLUR_KEYS")))
    settings = Settings(
        max_bytes=round(options.max_megabytes * (1 << 20)),
        max_pixels=pixels_of(options.max_megapixels),
        workers=options.workers,
        waiting=options.queue,
        seconds=options.seconds,
        jobs=options.jobs,
        job_bytes=round(options.job_megabytes * (1 << 20)),
        jobs_bytes=round(options.jobs_megabytes * (1 << 20)),
        job_seconds=options.job_seconds,
        keep_results=options.keep_results,
        explanations=0 if options.no_explain else Settings.explanations,
        explain_seconds=options.explain_seconds,
        keys=keys,
        webhook_secret=os.environ.get("UNBLUR_WEBHOOK_SECRET", ""),
        statistics=_recorder(options.statistics, options.statistics_days) if options.statistics else None,
        traces=traces_of_environment(),
    )
    Image.MAX_IMAGE_PIXELS = settings.max_pixels  # Pillow's own limit, below that of today's telephones
    log_to_stdout()
    served = load_served(options.model, options.threads, options.follow, settings.tile)
    return make_app(served, settings, *_challenger(options, settings))


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the options, as the command line gives them; wrong ones end the command with exit code 2."""
    from unblur.serving.settings import Settings

    usual = Settings()
    parser = argparse.ArgumentParser(prog="unblur serve", description="Answer photographs at POST /v1/restore.")
    parser.add_argument("--model", help="as for `unblur restore` (default: the champion, else the model in the box)")
    parser.add_argument(
        "--follow",
        type=_from_0,
        metavar="SECONDS",
        default=5.0,
        help="look that often where an alias such as models:/unblur@champion leads; 0: never (default: %(default)g)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="0: one that is free (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, help="answer gRPC there too (default: do not)")
    parser.add_argument(
        "--workers", type=int, default=usual.workers, help="photographs restored at once (default: %(default)s)"
    )
    parser.add_argument(
        "--queue", type=int, default=usual.waiting, help="that wait; more get 429 (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, help="threads of the runtime (default: its own choice)")
    parser.add_argument(
        "--max-megabytes",
        type=_above_0,
        default=usual.max_bytes / (1 << 20),
        help="of an upload (default: %(default)g)",
    )
    parser.add_argument(
        "--max-megapixels", type=_above_0, default=usual.max_pixels / 1e6, help="of a photograph (default: %(default)g)"
    )
    parser.add_argument(
        "--seconds", type=_above_0, default=usual.seconds, help="that a photograph may take (default: %(default)g)"
    )
    parser.add_argument(
        "--grace", type=int, default=30, help="seconds that requests get to end at SIGTERM (default: %(default)s)"
    )
    _add_jobs(parser, usual)
    _add_challenger(parser)
    parser.add_argument(
        "--statistics",
        type=Path,
        metavar="FOLDER",
        help="append statistics of photographs and answers, for `unblur drift`; nothing of what is in them",
    )
    parser.add_argument(
        "--statistics-days", type=_above_0, default=90, help="after which they are deleted (default: %(default)s)"
    )
    parser.add_argument("--keys", type=Path, metavar="FILE", help="SHA-256 of API keys, one a line; also UNBLUR_KEYS")
    options = parser.parse_args(argv)
    if options.workers < 1 or options.queue < 0 or options.jobs < 0:
        parser.error("--workers is at least 1, --queue and --jobs at least 0")
    if not 0 <= options.grace <= MOST:
        parser.error(f"--grace {options.grace}: expected 0 to {MOST:g}")
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port}: expected 0 to 65535")
    if options.grpc_port is not None and not 1 <= options.grpc_port <= 65535:
        parser.error(f"--grpc-port {options.grpc_port}: expected 1 to 65535")
    return options


def _recorder(folder: Path, days: float) -> "Recorder":
    from unblur.drift.recorder import Recorder

    return Recorder(folder, days=days)


def _add_jobs(parser: argparse.ArgumentParser, usual: "Settings") -> None:
    parser.add_argument("--jobs", type=int, default=usual.jobs, help="that are kept at once (default: %(default)s)")
    parser.add_argument(
        "--job-megabytes",
        type=_above_0,
        default=usual.job_bytes / (1 << 20),
        help="of a job's upload (default: %(default)g)",
    )
    parser.add_argument(
        "--jobs-megabytes",
        type=_above_0,
        default=usual.jobs_bytes / (1 << 20),
        help="of the files of all jobs together (default: %(default)g)",
    )
    parser.add_argument(
        "--job-seconds", type=_above_0, default=usual.job_seconds, help="that a job may take (default: %(default)g)"
    )
    parser.add_argument(
        "--keep-results",
        type=_from_0,
        metavar="SECONDS",
        default=usual.keep_results,
        help="until a job's result is deleted (default: %(default)g)",
    )
    parser.add_argument("--no-explain", action="store_true", help="do not explain answers (POST /v1/explain)")
    parser.add_argument(
        "--explain-seconds",
        type=_above_0,
        default=usual.explain_seconds,
        help="that an explanation may take (default: %(default)g)",
    )


def _add_challenger(parser: argparse.ArgumentParser) -> None:
    tried = parser.add_mutually_exclusive_group()
    tried.add_argument("--shadow", metavar="MODEL", help="has a share of the requests too, and nobody sees its answers")
    tried.add_argument(
        "--canary", metavar="MODEL", help="answers a share of the clients, and is switched off if it fails"
    )
    parser.add_argument("--share", type=_share, default=0.1, help="that it gets, 0 to 1 (default: %(default)g)")


def _above_0(text: str) -> float:
    return _number(text, "above 0", lambda number: number > 0)


def _from_0(text: str) -> float:
    return _number(text, "from 0", lambda number: number >= 0)


def _number(text: str, least: str, fits: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (fits(number) and number <= MOST):
        msg = f"{text}: expected a number {least} to {MOST:g}"
        raise argparse.ArgumentTypeError(msg)
    return number


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) <= 1:
        msg = f"{text}: expected 0 to 1"
        raise argparse.ArgumentTypeError(msg)
    return share


def _challenger(options: argparse.Namespace, settings: "Settings") -> "tuple[Shadow | None, Canary | None]":
    """Return what tries another model, if one is to be tried."""
    from unblur.serving.challenger.canary import Canary
    from unblur.serving.challenger.shadow import Shadow
    from unblur.serving.served import load_served

    if options.shadow:
        return Shadow(options.shadow, options.share, settings, options.follow), None
    if options.canary:
        load = partial(load_served, options.canary, options.threads, options.follow, settings.tile)
        return None, Canary(load, options.share, settings)
    return None, None


def _listen(host: str, port: int) -> socket.socket:
    """Take the address, before anybody is told of it."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python adds the address, which stands there already
        msg = f"{_shown(host, port)}: cannot listen there ({reason}); choose another --host or --port"
        raise UnblurError(msg) from error
    except UnicodeError as error:  # of IDNA, in which names are asked for
        msg = f"{host}: cannot be the name of a host; choose another --host"
        raise UnblurError(msg) from error


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


if __name__ == "__main__":
    main()
