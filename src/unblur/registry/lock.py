"""One lock of a registered model, for those who look for something in it and then make or delete it.

Register, gate and clean take it. Moves of the champion need none (see ledger.py), but to take the alias `challenger`
back, which the gate gives.

For a SQLite store it is a lock of the system beside the file, which goes with its process. A server or another
database has none; there it is a queue of tickets: versions of a registered model of its own, NAME.lock, which MLflow
numbers one by one. The lowest ticket holds the lock. A ticket says whose it is and since when, and anybody may tear up
one that is too old: a number never comes back, so a newer ticket cannot be hit.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import Timeout
from mlflow.exceptions import MlflowException

from unblur.config.tracking import hurry_after_silence, store_lock
from unblur.errors import UnblurError
from unblur.registry.versions import suppress_existing

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
EXPIRY_SECONDS = 900.0  # of a ticket whose owner was killed
TELL_SECONDS = 5.0
SUFFIX = ".lock"
TICKET = "unblur-lock:/"


@contextmanager
def registry_lock(client: "MlflowClient", name: str, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Let one process at a time change the registered model `name`.

    Raises:
        UnblurError: another one has not come to its end within `patience` seconds.
    """
    lock = store_lock()
    if lock is None:
        with _ticket(client, f"{name}{SUFFIX}", patience):
            yield
        return
    try:
        held = lock.acquire(timeout=patience)
    except Timeout as error:
        msg = f"Another process has held {lock.lock_file} for {patience:.0f} s: see what it does, then run this again."
        raise UnblurError(msg) from error
    with held:
        yield


@contextmanager
def _ticket(client: "MlflowClient", queue: str, patience: float) -> Iterator[None]:
    with suppress_existing():
        client.create_registered_model(queue, description="Who changes the model may queue here; see unblur's lock.py.")
    deadline = time.monotonic() + patience
    token = secrets.token_hex(4)
    own = _draw(client, queue, token, deadline)
    told = time.monotonic() + TELL_SECONDS
    try:
        while (first := _first(client, queue, token, own))[0] != own:
            if time.monotonic() > told:
                log.warning("waiting for %s, who is changing %s", first[1], queue.removesuffix(SUFFIX))
                told = deadline
            if time.monotonic() > deadline:
                msg = (
                    f"{first[1]} has been changing {queue.removesuffix(SUFFIX)} for a while: run this again when it "
                    f"has ended. If it was killed, its place becomes free after {EXPIRY_SECONDS / 60:.0f} minutes."
                )
                raise UnblurError(msg)
            time.sleep(0.2)
        with hurry_after_silence():
            yield
    finally:
        with suppress(MlflowException):  # torn up meanwhile
            client.delete_model_version(queue, str(own))


def _draw(client: "MlflowClient", queue: str, token: str, deadline: float) -> int:
    """Return the number of a new ticket; MLflow gives up after three tries when many draw at once."""
    owner = f"{os.environ.get('USER', 'somebody')} on {socket.gethostname()} (process {os.getpid()})"
    while True:
        try:
            made = client.create_model_version(
                queue, f"{TICKET}{token}", description=owner, tags={"owner": owner}, await_creation_for=0
            )
            return int(made.version)
        except MlflowException as error:
            if "Giving up" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _first(client: "MlflowClient", queue: str, token: str, own: int) -> tuple[int, str]:
    """Return number and owner of the lowest ticket, after those that are too old are torn up.

    So are further ones of our own: a request that was sent again because its answer got lost draws twice.
    """
    tickets = sorted(client.search_model_versions(f"name = '{queue}'"), key=lambda ticket: int(ticket.version))
    newest = max((ticket.creation_timestamp for ticket in tickets), default=0)  # by the server's own clock
    for ticket in tickets:
        ours_twice = ticket.source == f"{TICKET}{token}" and int(ticket.version) != own
        if newest - ticket.creation_timestamp <= EXPIRY_SECONDS * 1000 and not ours_twice:
            return int(ticket.version), str(ticket.tags.get("owner", "Somebody"))
        with suppress(MlflowException):
            client.delete_model_version(queue, str(ticket.version))
    return 0, "Somebody"
