"""The sweep in MLflow: one parent run, to which the run of each trial belongs."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.provenance import git_state
from unblur.config.root import project_root
from unblur.errors import UnblurError

if TYPE_CHECKING:
    import optuna

    from unblur.sweeping.space import Space
    from unblur.sweeping.study import Turn

log = logging.getLogger(__name__)
RUN = "mlflow_run_id"


def parent_run(space: "Space", study: "optuna.Study", lock: "Turn") -> str | None:
    """Return the run of the sweep, which the first worker makes; None without tracking, or while MLflow is away."""
    if not space.tracked:
        return None
    from unblur.config.tracking import ensure_experiment, is_active, store_errors, tracking_client

    lock.acquire()
    try:
        with store_errors():
            client = tracking_client()
            known = study.user_attrs.get(RUN)
            if known and is_active(client, known):
                return str(known)
            experiment = ensure_experiment(client, space.experiment)
            tags = {"git_sha": git_state(project_root()).sha, "sweep": space.name}
            run = client.create_run(experiment, run_name=f"sweep {space.name}", tags=tags).info.run_id
            for key, value in {
                "trials": space.trials,
                "sampler": space.sampler.name,
                "pruner": space.pruner.name,
            }.items():
                client.log_param(run, key, value)
            client.log_dict(run, space.described(), "space.yaml")
            study.set_user_attr(RUN, run)
            return str(run)
    except UnblurError as error:
        log.warning("%s; the sweep goes on, and its trials get no parent run", error)
        return None
    finally:
        lock.release()


def child_tags(study: "optuna.Study", number: int) -> dict[str, str]:
    """Return the tags that make a run the child of the sweep's."""
    parent = study.user_attrs.get(RUN)
    return {"mlflow.parentRunId": parent, "mlflow.runName": f"trial {number}"} if parent else {}


def close_run(study: "optuna.Study", best: dict[str, Any], files: Iterable[Path]) -> None:
    """Log the best values and the results to the sweep's run, and end it; a server that is away is told of."""
    run = study.user_attrs.get(RUN)
    if not run:
        return
    from unblur.config.tracking import store_errors, tracking_client

    try:
        with store_errors():
            client = tracking_client()
            now = int(time.time() * 1000)
            for key, value in best.items():
                client.log_metric(run, f"best/{key}", float(value), timestamp=now)
            for file in files:
                client.log_artifact(run, str(file))
            client.set_terminated(run, "FINISHED")
    except UnblurError as error:
        log.warning("%s; the results are in %s all the same", error, ", ".join(map(str, files)))
