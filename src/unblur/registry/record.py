"""The gate's verdict with the candidate's run in MLflow, and found there again."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.records.gate import FILE, GateRecord, read_record
from unblur.registry.versions import CHALLENGER, Version
from unblur.safety.hashing import sha256_file

if TYPE_CHECKING:
    from mlflow import MlflowClient


def publish(client: "MlflowClient", version: Version, path: Path, record: GateRecord, challenger: int | None) -> None:
    """Log gate.json with the candidate's run, tag the version, and give or take away the alias `challenger`."""
    client.log_artifact(version.run_id, str(path), _artifact_folder(version))
    if record.of_champion:
        pass  # it is more than a challenger already
    elif record.challenges:
        client.set_registered_model_alias(version.name, CHALLENGER, str(version.number))
    elif challenger == version.number:
        client.delete_registered_model_alias(version.name, CHALLENGER)
    # The tags come last: with them the verdict counts as known.
    for key, value in {"gate": record.verdict, "gate_sha256": sha256_file(path)}.items():
        client.set_model_version_tag(version.name, str(version.number), key, value)


def find_record(client: "MlflowClient", version: Version, folder: Path) -> GateRecord | None:
    """Return the verdict that the version's tag `gate_sha256` stands for, from `folder` or else from MLflow.

    None when the gate has not judged this version. A gate.json that was changed afterwards does not have the tag's
    SHA-256, and is not looked at.
    """
    expected = version.tags.get("gate_sha256")
    if expected is None:
        return None
    local = folder / FILE
    if local.is_file() and sha256_file(local) == expected:
        return read_record(local)
    artifact = f"{_artifact_folder(version)}/{FILE}"
    if artifact not in {item.path for item in client.list_artifacts(version.run_id, _artifact_folder(version))}:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        fetched = Path(client.download_artifacts(version.run_id, artifact, temporary))
        return read_record(fetched) if sha256_file(fetched) == expected else None


def _artifact_folder(version: Version) -> str:
    return f"registry/v{version.number}"
