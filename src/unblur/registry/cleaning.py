"""What a registry does not need any more: old versions, and runs that no version came of."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unblur.config.tracking import store_errors, tracking_client
from unblur.errors import UnblurError
from unblur.registry import ledger
from unblur.registry.lock import registry_lock
from unblur.registry.projection import ROLLED_BACK
from unblur.registry.versions import Version, list_versions, read_aliases

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ENDED = 24 * 3600.0  # seconds after which a run that is "running", and that nothing was logged to, has died
SAFE_STATES = ("RUNNING", "SCHEDULED")


@dataclass(frozen=True)
class Leftover:
    """A version or a run that may go, and why; `id` is the version's number or the run's id."""

    kind: str
    id: str
    why: str


@store_errors()
def clean(name: str, experiment: str, keep: int, *, delete: bool = False) -> list[Leftover]:
    """Find what may go, and with `delete` remove it.

    A version stays if it has an alias, if the ledger names it as a champion that was not rolled back, or if it is among
    the `keep` newest. A run stays if a version that stays came of it, if it is a ledger, if it is at work, or if it is
    among the `keep` newest of the others. MLflow only marks runs as deleted: `mlflow gc` frees their files, until
    then they can be restored. Versions are gone at once.

    Args:
        name: the registered model.
        experiment: whose runs are looked at.
        keep: at least 1.
        delete: remove them, under the registry's lock.

    Raises:
        UnblurError: `keep` is less than 1, or the store cannot do it.
    """
    if keep < 1:
        msg = f"--keep {keep}: expected at least 1"
        raise UnblurError(msg)
    client = tracking_client()
    if not delete:
        return _leftovers(client, name, experiment, keep)
    with registry_lock(client, name):
        found = _leftovers(client, name, experiment, keep)
        for item in found:
            if item.kind == "version":
                client.delete_model_version(name, item.id)
            else:
                client.delete_run(item.id)
    return found


def _leftovers(client: "MlflowClient", name: str, experiment: str, keep: int) -> list[Leftover]:
    versions = list_versions(client, name)
    staying = _staying(versions, read_aliases(client, name), _champions(client, name), keep)
    found = [
        Leftover("version", str(version.number), "was rolled back" if ROLLED_BACK in version.tags else "is an old one")
        for version in versions
        if version.number not in staying
    ]
    needed = {version.run_id for version in versions if version.number in staying}
    return found + _runs(client, experiment, keep, needed)


def _champions(client: "MlflowClient", name: str) -> set[int]:
    lines = ledger.read_ledger(client, name)
    return {number for line in lines for number in (line.before, line.after) if number is not None}


def _staying(versions: Sequence[Version], aliases: Mapping[str, int], champions: set[int], keep: int) -> set[int]:
    newest = sorted((version.number for version in versions), reverse=True)[:keep]
    good = {version.number for version in versions if ROLLED_BACK not in version.tags}
    return {*aliases.values(), *newest, *(champions & good)}


def _runs(client: "MlflowClient", experiment: str, keep: int, needed: set[str]) -> list[Leftover]:
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return []
    others: list[Run] = []
    token = None
    while True:
        page = client.search_runs([known.experiment_id], order_by=["attributes.start_time DESC"], page_token=token)
        others += [run for run in page if run.info.run_id not in needed and run.data.tags.get("role") != "ledger"]
        token = page.token
        if not token:
            break
    idle = [run for run in others if not _at_work(run)]
    return [Leftover("run", str(run.info.run_id), _why(run)) for run in idle[keep:]]


def _at_work(run: "Run") -> bool:
    last = max([run.info.start_time, *(metric.timestamp for metric in run.data._metric_objs)])
    return run.info.status in SAFE_STATES and time.time() - last / 1000 < ENDED


def _why(run: "Run") -> str:
    if run.info.status in SAFE_STATES:
        return "was killed: nothing was logged for a day"
    return "failed" if run.info.status in ("FAILED", "KILLED") else "no version came of it, or an old one"
