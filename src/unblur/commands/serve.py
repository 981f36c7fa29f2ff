"""`unblur serve`: answer photographs over HTTP."""

import argparse
import os
import socket
import sys
from pathlib import Path

from unblur.config.entry import Stopped, command
from unblur.errors import UnblurError


@command
def main(argv: list[str]) -> int:
    """Load the model, then serve until a signal asks to stop: requests under way are finished, the exit code is 0."""
    from unblur.serving.settings import Settings, keys_of_environment, read_keys

    usual = Settings()
    parser = argparse.ArgumentParser(prog="unblur serve", description="Answer photographs at POST /v1/restore.")
    parser.add_argument("--model", help="as for `unblur restore` (default: the champion, else the model in the box)")
    parser.add_argument(
        "--follow",
        type=float,
        metavar="SECONDS",
        default=5.0,
        help="look that often where an alias such as models:/unblur@champion leads; 0: never (default: %(default)g)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument(
        "--workers", type=int, default=usual.workers, help="photographs restored at once (default: %(default)s)"
    )
    parser.add_argument(
        "--queue", type=int, default=usual.waiting, help="that wait; more get 429 (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, help="threads of the runtime (default: its own choice)")
    parser.add_argument(
        "--max-megabytes", type=float, default=usual.max_bytes / (1 << 20), help="of an upload (default: %(default)g)"
    )
    parser.add_argument(
        "--max-megapixels", type=float, default=usual.max_pixels / 1e6, help="of a photograph (default: %(default)g)"
    )
    parser.add_argument(
        "--seconds", type=float, default=usual.seconds, help="that a photograph may take (default: %(default)g)"
    )
    parser.add_argument(
        "--grace", type=int, default=30, help="seconds that requests get to end at SIGTERM (default: %(default)s)"
    )
    parser.add_argument("--keys", type=Path, metavar="FILE", help="SHA-256 of API keys, one a line; also UNBLUR_KEYS")
    options = parser.parse_args(argv)
    if options.workers < 1 or options.queue < 0:
        parser.error("--workers is at least 1, --queue at least 0")
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port}: expected 0 to 65535")

    import uvicorn
    from PIL import Image

    from unblur.serving.app import make_app
    from unblur.serving.served import load_served
    from unblur.serving.watching import log_to_stdout

    keys = (*(read_keys(options.keys) if options.keys else ()), *keys_of_environment(os.environ.get("UNBLUR_KEYS")))
    settings = Settings(
        max_bytes=round(options.max_megabytes * (1 << 20)),
        max_pixels=round(options.max_megapixels * 1e6),
        workers=options.workers,
        waiting=options.queue,
        seconds=options.seconds,
        keys=keys,
    )
    Image.MAX_IMAGE_PIXELS = settings.max_pixels  # Pillow's own limit, below that of today's telephones
    log_to_stdout()
    served = load_served(options.model, options.threads, options.follow, settings.tile)
    app = make_app(served, settings)
    listening = _listen(options.host, options.port)
    print(f"{served.now.model.name} at http://{options.host}:{options.port}", file=sys.stderr, flush=True)
    try:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # our own has an id for each request
            server_header=False,
            timeout_graceful_shutdown=options.grace,
        )
        uvicorn.Server(config).run(sockets=[listening])
    except Stopped:  # uvicorn has finished what was under way, and raises the signal once more
        return 0
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Take the address, before anybody is told of it."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        msg = f"{host}:{port}: cannot listen there ({error.strerror}); choose another --host or --port"
        raise UnblurError(msg) from error


if __name__ == "__main__":
    main()
