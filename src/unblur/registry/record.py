"""gate.json: what the gate has judged, on what, and its verdict; on disk, and with the candidate's run in MLflow."""

import dataclasses
import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.errors import GateRefusedError, UnblurError
from unblur.registry.rules import RuleResult
from unblur.registry.versions import CHALLENGER, Version
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "gate.json"


@dataclass(frozen=True)
class Subject:
    """What a verdict is about. A record holds for exactly one subject; anything else has to be judged anew.

    `champion` and `champion_sha256` are None when there was no champion to compare with, `rules` is the whole
    section `gate` of the configuration, `pairs_sha256` is that of the manifest of the test pairs.
    """

    model: str
    candidate: int
    candidate_sha256: str
    champion: int | None
    champion_sha256: str | None
    data_md5: str
    pairs_sha256: str
    rules: dict[str, Any]


@dataclass(frozen=True)
class GateRecord:
    """A verdict with every rule and its figure; `means` are the means of the profile over the test pairs."""

    subject: Subject
    passed: bool
    results: list[RuleResult]
    pairs: int
    means: dict[str, float] = field(default_factory=dict)
    machine: str = ""
    when: str = ""

    @property
    def verdict(self) -> str:
        """The value of the version's tag `gate`."""
        return "passed" if self.passed else "refused"

    def require_passed(self) -> None:
        """Do nothing for a verdict that is favourable.

        Raises:
            GateRefusedError: it is not; names each rule that failed, its figure, its limit and the distance.
        """
        if not self.passed:
            failed = "; ".join(result.shortfall() for result in self.results if not result.passed)
            msg = f"The gate refuses {self.subject.model} v{self.subject.candidate}. {failed}"
            raise GateRefusedError(msg)


def write_record(record: GateRecord, folder: Path) -> Path:
    """Write gate.json into `folder` and return its path."""
    path = folder / FILE
    with replacing(path) as unfinished:
        text = json.dumps({"verdict": record.verdict, **asdict(record)}, indent=2, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8")
    return path


def is_record(path: Path) -> bool:
    """Say whether a file is a record of the gate, whole or damaged."""
    try:
        return '"subject"' in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read_record(path: Path) -> GateRecord:
    """Read gate.json.

    Raises:
        UnblurError: the file is no gate record.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("verdict", None)
        content["subject"] = Subject(**content["subject"])
        content["results"] = [RuleResult(**result) for result in content["results"]]
        return GateRecord(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path} is no record of the gate ({type(error).__name__}: {error}). Write it again with `unblur gate`."
        raise UnblurError(msg) from error


def publish(client: "MlflowClient", version: Version, path: Path, record: GateRecord, challenger: int | None) -> None:
    """Log gate.json with the candidate's run, tag the version, and give or take away the alias `challenger`."""
    client.log_artifact(version.run_id, str(path), _artifact_folder(version))
    if record.passed:
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


def differences(subject: Subject, other: Subject) -> list[str]:
    """Name the fields in which two subjects differ."""
    names = (item.name for item in dataclasses.fields(Subject))
    return [name for name in names if getattr(subject, name) != getattr(other, name)]


def _artifact_folder(version: Version) -> str:
    return f"registry/v{version.number}"
