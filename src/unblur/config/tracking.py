"""Where MLflow keeps runs, artifacts and the registry."""

import logging
import os
from typing import TYPE_CHECKING

from unblur.config.moved_store import follow_move
from unblur.config.root import project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or a SQLite file at the project's root (an absolute path)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root() / 'mlflow.db'}"


def tracking_client() -> "MlflowClient":
    """Return a client of the tracking store; MLflow's global URI is set too, for the calls that only read that."""
    import mlflow

    if not os.environ.get("MLFLOW_TRACKING_URI"):
        follow_move(project_root())
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.MlflowClient()


def ensure_experiment(client: "MlflowClient", name: str) -> str:
    """Return the id of experiment `name`, created with its artifacts beside a local store if it is new.

    One that was deleted is restored, as MLflow gives its name to no other.
    """
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            log.warning("the MLflow experiment %r was deleted: restored, with its runs", name)
        return str(found.experiment_id)
    local = tracking_uri().startswith("sqlite")
    location = (project_root() / "mlartifacts" / name).as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=location))


def is_active(client: "MlflowClient", run_id: str) -> bool:
    """Tell whether the store has this run and nobody has deleted it."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException:
        return False
