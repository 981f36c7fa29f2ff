"""What the registry holds: the versions of a model, their tags and the aliases that point at them.

MLflow's stages are deprecated and not used. `search_model_versions` returns versions without their aliases, so
aliases are always read from the registered model itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from unblur.errors import NoModelVersionError, UnblurError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE = "candidate"  # what was registered last
CHALLENGER = "challenger"  # a candidate that the gate lets answer beside the champion, not promoted yet
CHAMPION = "champion"  # what users load
PREVIOUS = "previous_champion"  # what `unblur rollback` would go back to; nothing that was rolled back


@dataclass(frozen=True)
class Version:
    """One version of a registered model; `tags` holds its lineage (see registry/lineage.py)."""

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """SHA-256 of the ONNX file, empty for a version that `unblur register` has not made."""
        return self.tags.get("model_sha256", "")

    @property
    def uri(self) -> str:
        """The reference that `mlflow.pyfunc.load_model` and `unblur restore --model` take."""
        return f"models:/{self.name}/{self.number}"

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


def read_aliases(client: "MlflowClient", name: str) -> dict[str, int]:
    """Return alias -> version number, empty when the model is not registered yet."""
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {alias: int(number) for alias, number in model.aliases.items()}


def read_version(client: "MlflowClient", name: str, number: int) -> Version:
    """Return one version with its tags.

    Raises:
        NoModelVersionError: there is no such version.
    """
    try:
        return _record(client.get_model_version(name, str(number)))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        msg = f"There is no version {number} of {name} in the registry: {error.message}"
        raise NoModelVersionError(msg) from error


def find_by_sha256(client: "MlflowClient", name: str, sha256: str) -> Version | None:
    """Return the newest version whose ONNX file has this SHA-256, or None."""
    found = client.search_model_versions(f"name = '{name}' and tag.model_sha256 = '{sha256}'")
    return max((_record(version) for version in found), key=lambda version: version.number, default=None)


def list_versions(client: "MlflowClient", name: str) -> list[Version]:
    """Return every version of a model, oldest first; none where it is not registered."""
    found: list[Version] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found += map(_record, page)
        token = page.token
        if not token:
            return sorted(found, key=lambda version: version.number)


def candidate_version(client: "MlflowClient", name: str, aliases: Mapping[str, int]) -> Version:
    """Return the version under the alias `candidate`.

    Raises:
        UnblurError: nothing was registered yet.
    """
    if CANDIDATE not in aliases:
        msg = f"No version of {name} has the alias {CANDIDATE!r}. Register a model first: `unblur register`."
        raise UnblurError(msg)
    return read_version(client, name, aliases[CANDIDATE])


def require_same_task(what: object, task: str | None, champion: Version | None) -> None:
    """Refuse to compare models that restore different things; versions without the tag `task` are let through.

    Raises:
        UnblurError: the champion is for another task.
    """
    theirs = champion.tags.get("task") if champion else None
    if champion and task and theirs and task != theirs:
        msg = (
            f"{what} is a model for {task}, the champion {champion} one for {theirs}: they cannot be compared. "
            f"Give it a name of its own: registry.model_name={champion.name}-{task}."
        )
        raise UnblurError(msg)


@contextmanager
def suppress_existing() -> Iterator[None]:
    """Go on where what the block makes in the registry is there already."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _record(version: "ModelVersion") -> Version:
    return Version(str(version.name), int(version.version), str(version.run_id or ""), dict(version.tags))
