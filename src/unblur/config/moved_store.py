"""A project folder that was moved or copied: the absolute addresses in MLflow's local store follow it."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

log = logging.getLogger(__name__)

ARTIFACTS = "mlartifacts"
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)


def follow_move(root: Path) -> None:
    """Make the addresses in `root`/mlflow.db those of `root`/mlartifacts, if they are of where the project was before.

    Addresses outside a folder mlartifacts are somebody's choice and stay, and so do all if the artifacts are not here.
    """
    database = root / "mlflow.db"
    if not database.is_file() or not (root / ARTIFACTS).is_dir():
        return
    here = (root / ARTIFACTS).as_uri() + "/"
    with closing(sqlite3.connect(database)) as store, store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {table for table, _ in _ADDRESSES} <= tables:  # of another version of MLflow, or not yet filled
            return
        rows = store.execute("SELECT name, artifact_location FROM experiments").fetchall()
        before = {
            address.removesuffix(name)
            for name, address in rows
            if address and address.startswith("file:") and address.endswith(f"/{ARTIFACTS}/{name}")
        } - {here}
        for old in before:
            for table, column in _ADDRESSES:
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (here, len(old) + 1, len(old), old),
                )
            log.info("the project was moved: MLflow's artifacts are now in %s", here)
