"""The study of a sweep in its database: opened by any number of workers, on one machine or many."""

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from unblur.config.tracking import DRIVERS
from unblur.errors import UnblurError, UsageError
from unblur.safety.secrets import masked
from unblur.sweeping.space import STORAGE, Space

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEARTBEAT = 5
"""Seconds between two signs of life of a running trial."""
GRACE = 30
"""Seconds without one, after which a trial counts as lost."""
RETRIES = 2
"""How often the values of a lost trial are tried again."""
SQLITE, POSTGRESQL = "sqlite:///", "postgresql"
_ADVISORY = 857_363_256
"""Any number: on PostgreSQL, whoever holds the lock with this name begins a trial."""
_FACTS = "unblur"

optuna.logging.set_verbosity(optuna.logging.ERROR)  # we tell
warnings.filterwarnings("ignore", category=ExperimentalWarning)  # heartbeats: pyproject.toml has the version's bounds


class Turn(Protocol):
    """A lock across workers: one at a time counts the trials and begins the next."""

    def acquire(self) -> object:
        """Wait for it."""

    def release(self) -> None:
        """Let the next one have it; nothing happens if it is not held."""


def storage_address(space: Space) -> str:
    """Return the address of the database.

    Raises:
        UsageError: it is neither SQLite nor PostgreSQL.
    """
    address = space.storage or f"{SQLITE}{space.folder.resolve() / 'study.db'}"
    if not address.startswith((SQLITE, f"{POSTGRESQL}:", f"{POSTGRESQL}+")):
        whence = f"{space.file}: storage" if space.storage else STORAGE
        msg = f"{whence}: {masked(address)}: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        raise UsageError(msg)
    return address


def turn(address: str) -> Turn:
    """Return the lock of a database, which the system or the server frees when its holder dies."""
    if address.startswith(SQLITE):
        return FileLock(f"{address.removeprefix(SQLITE)}.lock")
    return _Advisory(address)


class _Advisory:
    """A lock of PostgreSQL, held by a connection of its own."""

    def __init__(self, address: str) -> None:
        self._engine = create_engine(address, poolclass=NullPool)
        self._connection: Connection | None = None

    def acquire(self) -> None:
        self._connection = self._engine.connect()
        self._connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY})")

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def open_study(space: Space, address: str, lock: Turn) -> optuna.Study:
    """Open the study, or make it.

    Raises:
        UnblurError: the study of this name searches something else.
    """
    if address.startswith(SQLITE):
        Path(address.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    lock.acquire()  # tables of a new database cannot be made by two at once
    try:
        storage = RDBStorage(
            address,
            engine_kwargs={"connect_args": {"timeout": 60}} if address.startswith(SQLITE) else {"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=again,
        )
        study = optuna.create_study(
            storage=storage, study_name=space.name, directions=list(space.objectives.values()), load_if_exists=True
        )
        described = json.loads(json.dumps(space.described()))
        before = study.user_attrs.get(_FACTS)
        if before is None:
            study.set_user_attr(_FACTS, described)
    finally:
        lock.release()
    if before not in (None, described):
        keys = [key for key in described if before.get(key) != described[key]]
        if "space" in keys:
            ours, theirs = described["space"], before.get("space", {})
            keys += [f"space.{key}" for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
            keys.remove("space")
        msg = f"{space.file}: {', '.join(keys)}: others than in the study {space.name!r} that has begun; "
        raise UnblurError(msg + "take them back, or give it another name")
    return study


def sampler(space: Space, counted: int) -> BaseSampler:
    """Return what chooses the values of the trial after `counted` others.

    Its seed is the study's and that number: a sweep that was interrupted goes on as it would have without.
    """
    seed = int.from_bytes(hashlib.sha256(f"{space.sampler.seed} {counted}".encode()).digest()[:4])
    if space.sampler.name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=space.sampler.startup)


def pruner(space: Space) -> BasePruner:
    """Return what ends trials early."""
    if space.pruner.name == "median":
        return MedianPruner(n_startup_trials=space.pruner.startup, n_warmup_steps=space.pruner.warmup)
    if space.pruner.name == "hyperband":
        if space.epochs is None:
            return HyperbandPruner()
        most, least = space.epochs
        return HyperbandPruner(min_resource=min(least, most), max_resource=most)
    return NopPruner()


def again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue the values of a lost trial up, with what it has reported; nothing after `RETRIES` times."""
    RetryHeartbeatStaleTrialCallback(max_retry=RETRIES, inherit_intermediate_values=True)(study, trial)


def first_number(trial: FrozenTrial) -> int:
    """Return the number of the trial whose values these were first: where its checkpoints lie."""
    return int(trial.system_attrs.get("failed_trial", trial.number))


def retried(trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of the lost trials whose values were queued up again: they do not count."""
    return {number for trial in trials for number in trial.system_attrs.get("retry_history", ())}


def counting(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that count: those that run, and those that have ended and are not tried again."""
    lost = retried(trials)
    return [trial for trial in trials if trial.state != TrialState.WAITING and trial.number not in lost]


@contextmanager
def study_errors(address: str) -> Iterator[None]:
    """Turn what the database raises into one line with its address, without password.

    Raises:
        UnblurError: the block has raised something of the database, or of Optuna about it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        _raise_driver(address, str(error.name), error)
    except Exception as error:
        if isinstance(error, ImportError) and isinstance(error.__cause__, ModuleNotFoundError):
            _raise_driver(address, str(error.__cause__.name), error)
        if isinstance(error, RuntimeError) and "table schema" in str(error):
            msg = f"{masked(address)}: the study's database cannot be used: is of another version of Optuna ({error})"
            raise UnblurError(msg) from error
        if type(error).__module__.partition(".")[0] not in ("sqlalchemy", "sqlite3", "alembic") and not isinstance(
            error, optuna.exceptions.StorageInternalError
        ):
            raise
        cause = error.__cause__ or error
        said = re.sub(r"\(Background on this error at.*", "", masked(" ".join(str(cause).split())))[:300].strip()
        mend = "is it damaged, or does its server not answer? Mend it, or the address; nothing of it was changed"
        msg = f"{masked(address)}: the study's database cannot be used ({type(cause).__name__}: {said}); {mend}"
        raise UnblurError(msg) from error


def _raise_driver(address: str, module: str, error: Exception) -> None:
    if not address.startswith(POSTGRESQL):
        raise error
    package = DRIVERS.get(module, module)
    msg = f"{masked(address)}: the driver of this database is not installed: pip install '{package}'"
    raise UnblurError(msg) from error
