"""What servers have seen of a challenger in the champion's shadow, in MLflow: a run for each server, added up here.

A run holds the counts of one pair of models on one server, which alone writes it, so no server overwrites what another
has counted; by the server's id it is found again after a failure, so that nothing is counted twice. The tags
`unblur.shadow.*` of the challenger's version are the sum, for people; the gate reads the runs.
"""

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from unblur.config.tracking import ensure_experiment, store_errors, tracking_client
from unblur.records.shadow import Pair, Tally
from unblur.runtimes.mlflow_reference import VERSION
from unblur.safety.secrets import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "unblur.shadow"
COUNTS = f"{TAG}.counts"
SERVER = f"{TAG}.server"


def experiment_of(name: str) -> str:
    """Return the experiment that holds the runs of servers of a registered model."""
    return f"{name}.shadow"


@store_errors()
def publish_tally(pair: Pair, tally: Tally, server: str) -> None:
    """Write the counts of a pair into the server's run, and their sum over all servers to the challenger's version.

    Args:
        pair: whose challenger is a version of a registered model.
        tally: all that this server has counted of the pair since its start.
        server: its id, which no other has.

    Raises:
        UnblurError: the store cannot do it, or not all of it; the same call again counts nothing twice.
    """
    named = VERSION.fullmatch(pair.challenger)
    if named is None or not named[3]:
        msg = f"{pair.challenger}: expected models:/NAME/NUMBER"
        raise ValueError(msg)
    name, number = named[1], named[3]
    client = tracking_client()
    run_id = _run_of(client, ensure_experiment(client, experiment_of(name)), pair, server)
    client.set_terminated(run_id)  # it is whole at any moment, whatever becomes of the server
    client.set_tag(run_id, COUNTS, json.dumps(vars(tally)))
    for key, figure in tally.figures().items():
        client.log_metric(run_id, key, figure)
    together = read_tally(client, name, pair.challenger_sha256, pair.champion_sha256)
    against = VERSION.fullmatch(pair.champion)
    told = {"champion": (against and against[3]) or pair.champion_sha256[:12], **together.figures()}
    for key, value in told.items():
        client.set_model_version_tag(name, number, f"{TAG}.{key}", str(value))


def read_tally(client: "MlflowClient", name: str, challenger_sha256: str, champion_sha256: str) -> Tally:
    """Return what all servers together have counted of a pair."""
    experiment = client.get_experiment_by_name(experiment_of(name))
    together, token = Tally(), None
    while experiment is not None:
        of_pair = (
            f"tags.`{TAG}.challenger_sha256` = '{challenger_sha256}' and "
            f"tags.`{TAG}.champion_sha256` = '{champion_sha256}'"
        )
        page = client.search_runs([experiment.experiment_id], of_pair, page_token=token)
        for run in page:
            together += _counts(run.data.tags.get(COUNTS, "{}"))
        token = page.token
        if not token:
            break
    return together


def _run_of(client: "MlflowClient", experiment: str, pair: Pair, server: str) -> str:
    """Return the server's run of a pair: the one that an earlier call has made, however that ended, or a new one."""
    tags = {SERVER: server, **{f"{TAG}.{key}": masked(value) for key, value in asdict(pair).items()}}
    found = client.search_runs([experiment], f"tags.`{SERVER}` = '{server}'")
    found = [run for run in found if all(run.data.tags.get(key, "") == value for key, value in tags.items())]
    if found:  # of two, where a lost answer had a request sent again, the one that holds the counts
        return str(max(found, key=lambda run: COUNTS in run.data.tags).info.run_id)
    version = pair.challenger.rpartition("/")[2]
    return str(client.create_run(experiment, tags=tags, run_name=f"v{version}").info.run_id)


def _counts(text: str) -> Tally:
    found = json.loads(text)
    return Tally(**found | {"psnr": Counter({int(key): count for key, count in found.get("psnr", {}).items()})})
