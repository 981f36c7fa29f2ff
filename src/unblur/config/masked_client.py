"""A client of MLflow that keeps credentials out of what it writes: tags, parameters, texts and files."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from unblur.safety.secrets import masked, masked_values

LARGEST_TEXT = 10_000_000  # bytes; a larger file is none that people read
WRITES = (
    *("create_run", "update_run", "set_tag", "log_param", "log_batch", "log_text", "log_dict"),
    *("create_experiment", "set_experiment_tag", "set_logged_model_tags"),
    *("create_registered_model", "update_registered_model", "set_registered_model_tag"),
    *("create_model_version", "update_model_version", "set_model_version_tag"),
)
"""Methods whose texts people see in MLflow's pages."""


class MaskedClient(MlflowClient):  # type: ignore[misc]  # MLflow's client is not typed
    """`MlflowClient`, whose writing methods mask their arguments; see safety/secrets.py."""

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Upload a file; of a text that holds a credential, a copy without it."""
        path = Path(local_path)
        text = _text(path)
        if text is None or masked(text) == text:
            super().log_artifact(run_id, local_path, artifact_path)
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / path.name
            copy.write_text(masked(text), encoding="utf-8")
            super().log_artifact(run_id, str(copy), artifact_path)


def _masking(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def masking(self: MlflowClient, *arguments: object, **named: object) -> object:
        return method(self, *map(_clean, arguments), **{name: _clean(value) for name, value in named.items()})

    return masking


for _name in WRITES:
    setattr(MaskedClient, _name, _masking(getattr(MlflowClient, _name)))


def _clean(value: object) -> object:
    if isinstance(value, Param | RunTag):
        return type(value)(value.key, masked(value.value))
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return masked_values(value)


def _text(path: Path) -> str | None:
    if path.stat().st_size > LARGEST_TEXT:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
