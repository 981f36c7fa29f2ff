"""`unblur serve` by Ray Serve, for those whom one machine does not hold: `serve run ops/ray_serve.yaml`."""

import shlex
from typing import TYPE_CHECKING, Any

from unblur.commands.serve import app_of, parse
from unblur.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

# Ray has its own words for these, or they want one process that knows of all requests and is told of its end.
ELSEWHERE = ("host", "port", "grpc_port", "grace", "shadow", "statistics")


def application(arguments: dict[str, str]) -> Any:  # noqa: ANN401 (a class of Ray's)
    """Return what Ray Serve runs: each replica loads the model and answers as `unblur serve` does.

    Args:
        arguments: `options` are those of `unblur serve`, as on a command line.

    Raises:
        UsageError: an option that Ray Serve has its own words for, or that several replicas cannot keep.
    """
    options, usual = parse(shlex.split(arguments.get("options", ""))), parse([])
    changed = [name for name in ELSEWHERE if getattr(options, name) != getattr(usual, name)]
    if changed:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        msg = f"{given}: not with Ray Serve; see ops/ray_serve.yaml for what takes its place"
        raise UsageError(msg)
    options.jobs = 0  # one replica would be asked for the jobs of another

    from ray import serve

    def build() -> "FastAPI":
        return app_of(options)

    return serve.deployment(serve.ingress(build)(), name="unblur").bind()
