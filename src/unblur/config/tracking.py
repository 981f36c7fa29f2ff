"""Where MLflow keeps runs, artifacts and the registry."""

import os
from typing import TYPE_CHECKING

from unblur.config.root import project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or a SQLite file at the project's root (an absolute path)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root() / 'mlflow.db'}"


def tracking_client() -> "MlflowClient":
    """Return a client of the tracking store; MLflow's global URI is set too, for the calls that only read that."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.MlflowClient()


def ensure_experiment(client: "MlflowClient", name: str) -> str:
    """Return the id of experiment `name`, created with its artifacts beside a local store if it is new."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = tracking_uri().startswith("sqlite")
    location = (project_root() / "mlartifacts" / name).as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=location))
