"""`unblur serve` by Ray Serve, for those whom one machine does not hold: `serve run ops/ray_serve.yaml`."""

import shlex
from typing import TYPE_CHECKING, Any

from unblur.commands.serve import app_of, parse
from unblur.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

OF_RAY = "its file says that: see ops/ray_serve.yaml"
ALONE = "several replicas cannot keep it: see docs/serving.md"
# Ray has its own words for the first; the others want one process that knows of all requests and is told of its end.
ELSEWHERE = {
    **dict.fromkeys(("host", "port", "grace"), OF_RAY),
    **dict.fromkeys(("grpc_port", "shadow", "statistics", "jobs", "job_megabytes", "jobs_megabytes"), ALONE),
    **dict.fromkeys(("job_seconds", "keep_results", "explain_seconds"), ALONE),
}


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
        given = ", ".join(f"--{name.replace('_', '-')} ({ELSEWHERE[name]})" for name in changed)
        msg = f"not with Ray Serve: {given}"
        raise UsageError(msg)
    options.jobs = 0  # one replica would be asked for the jobs of another

    from ray import serve

    def build() -> "FastAPI":
        return app_of(options)

    return serve.deployment(serve.ingress(build)(), name="unblur").bind()
