"""Where MLflow keeps runs, artifacts and the registry."""

import functools
import glob
import logging
import os
import re
import secrets
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from unblur.config.moved_store import follow_move
from unblur.config.root import project_root
from unblur.errors import StoreSilentError, UnblurError
from unblur.safety.secrets import masked

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

SQLITE = "sqlite:///"
ANSWER_SECONDS = 10  # that a server gets for an answer; MLFLOW_HTTP_REQUEST_TIMEOUT changes it, but for the first
POSTGRESQL_LOCK = 857_363_255  # any number: whoever makes MLflow's tables holds the lock with this name
DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""Which package brings the module of a database's driver, where their names differ."""

# Of MLflow's server, boto and requests. The number alone may be that of a version, or in a path.
_REFUSED = re.compile(
    r"error code 40[13]|\(40[13]\)|\b40[13] (?:Client Error|Forbidden|Unauthorized)"
    r"|UNAUTHENTICATED|PERMISSION_DENIED|password authentication"
)
_SILENT = re.compile(r"(?i)Connection|Timeout|timed out|Max retries|Failed to resolve|error code 50[0-9]|too many 50")

os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# MLflow's own 7 tries of 120 seconds each take minutes without a word: with these a command ends within half a minute.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(ANSWER_SECONDS))
os.environ.setdefault("PGCONNECT_TIMEOUT", str(ANSWER_SECONDS))
# What cleans up after a request without an answer does not wait for another one.
_HURRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # a warning for each retry: we tell once
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # an error and its traceback for each: the same
# SQLAlchemy's, where another process has taken the same tag or alias away at that moment: gone is what it shall be.
warnings.filterwarnings("ignore", message=r"DELETE statement on table '\w+' expected to delete")


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or a SQLite file at the project's root (an absolute path)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{project_root() / 'mlflow.db'}"


def store_file() -> Path | None:
    """Return the SQLite file of the tracking store, None of a server or another database."""
    uri = tracking_uri()
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def store_lock() -> FileLock | None:
    """Return the lock beside a SQLite store, of this machine's processes; the system frees it when one dies."""
    file = store_file()
    return FileLock(f"{file}.lock") if file else None


def tracking_client() -> "MlflowClient":
    """Return a client of the tracking store that masks credentials in what it writes.

    MLflow's global URI is set too, for the calls that only read that.

    Raises:
        UnblurError: the store is damaged, does not answer within seconds, or refuses the user.
    """
    import mlflow

    uri = tracking_uri()
    with store_errors():
        _check_store(uri)
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            follow_move(project_root())
        mlflow.set_tracking_uri(uri)
        from unblur.config.masked_client import MaskedClient

        return MaskedClient()


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
    location = (project_root() / "mlartifacts" / name).as_uri() if _is_database(tracking_uri()) else None
    return str(client.create_experiment(name, artifact_location=location))


def is_active(client: "MlflowClient", run_id: str) -> bool:
    """Tell whether the store has this run and nobody has deleted it.

    Raises:
        MlflowException: the store cannot tell.
    """
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return False


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what MLflow, its server or its database raise into one line with the store's address, without password.

    Raises:
        StoreSilentError: the store does not answer.
        UnblurError: the block has raised something else of MLflow, or of the libraries that it talks through.
    """
    before = {name: os.environ[name] for name in _HURRY}
    try:
        yield
    except Exception as error:
        if not _of_store(error):
            raise
        reason = masked(" ".join(str(error).split()))[:300]
        cannot = "the store of MLflow cannot do this; see its log, or mend MLFLOW_TRACKING_URI"
        msg = f"{masked(tracking_uri())}: {no_answer(error) or cannot} ({type(error).__name__}: {reason})"
        raise (StoreSilentError if _is_silent(error) else UnblurError)(msg) from error
    finally:
        os.environ.update(before)


@contextmanager
def hurry_after_silence() -> Iterator[None]:
    """Around what is cleaned up after: if a request of the block was not answered, later ones wait for a second only.

    `store_errors`, which has to be around it, brings the patience back.
    """
    try:
        yield
    except Exception as error:
        if _of_store(error) and _is_silent(error):
            os.environ.update(_HURRY)
        raise


@contextmanager
def one_try() -> Iterator[None]:
    """Around what makes several requests, and goes on to the next after one that failed, such as uploads."""
    before = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = before


def _of_store(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in ("mlflow", "requests", "sqlalchemy", "sqlite3")


def _is_silent(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}"
    return not _REFUSED.search(text) and bool(_SILENT.search(text))


def no_answer(error: Exception) -> str | None:
    """Return why a store has not said what was asked: it refuses the user, or is silent; None where it has."""
    if _REFUSED.search(f"{type(error).__name__} {error}"):
        return "the store refuses this user; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if _is_silent(error):
        return "the store, or where it keeps its files, does not answer; start it, or mend MLFLOW_TRACKING_URI"
    return None


@functools.cache
def _check_store(uri: str) -> None:
    """Make sure, once a process, that there is a store that answers; a new SQLite file is made whole or not at all."""
    file = store_file()
    if file:
        _check_sqlite(file)
    elif uri.startswith(("http://", "https://")):
        _check_server(uri)
    elif _is_database(uri):
        _check_database(uri)


def _is_database(uri: str) -> bool:
    """Tell whether MLflow itself writes into this store, with no server between."""
    return "://" in uri and not uri.startswith(("http://", "https://", "file:", "databricks"))


def _check_sqlite(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):  # MLflow's migration of a new file cannot bear a second one beside it
        if not file.exists():
            _create_sqlite(file)
    if file.stat().st_size == 0:
        msg = f"{file} is empty: MLflow's store was lost or cut off. Bring it back, or remove the file to begin anew."
        raise UnblurError(msg)
    if file.open("rb").read(16) != b"SQLite format 3\0":
        msg = f"{file} is no SQLite database: it was damaged or exchanged. Bring it back, or mend MLFLOW_TRACKING_URI."
        raise UnblurError(msg)


def _create_sqlite(file: Path) -> None:
    import mlflow

    for leftover in file.parent.glob(f"{glob.escape('.' + file.name)}.*.part*"):  # of a first use that was killed
        leftover.unlink(missing_ok=True)
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        mlflow.MlflowClient(f"{SQLITE}{unfinished}").search_experiments()
        with closing(sqlite3.connect(unfinished)) as made, closing(sqlite3.connect(f"{unfinished}2")) as copy:
            made.backup(copy)  # MLflow's own connections to the first file stay open
        Path(f"{unfinished}2").replace(file)
    finally:
        for path in (unfinished, Path(f"{unfinished}2")):
            path.unlink(missing_ok=True)


def _check_server(uri: str) -> None:
    """Ask for what every request needs, once and with little patience."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(
        get_default_host_creds(uri),
        "/api/2.0/mlflow/experiments/search",
        "POST",
        json={"max_results": 1},
        max_retries=0,
        timeout=ANSWER_SECONDS,
        raise_on_status=False,
    )
    if not answer.ok:
        msg = f"error code {answer.status_code}"
        raise MlflowException(msg)


def _check_database(uri: str) -> None:
    """Connect, and have MLflow make or bring up its tables; on PostgreSQL while no other process does."""
    import mlflow
    from mlflow.store.db.utils import create_sqlalchemy_engine

    try:
        engine = create_sqlalchemy_engine(uri)
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":  # the lock goes with the connection's transaction
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")
            mlflow.MlflowClient(uri).search_experiments(max_results=1)
        engine.dispose()
    except ModuleNotFoundError as error:
        package = DRIVERS.get(str(error.name), error.name)
        msg = f"{masked(uri)}: the driver of this database is not installed: pip install '{package}', or use a server"
        raise UnblurError(msg) from error
