"""Parquet files of statistics: a row a photograph, with its time and the SHA-256 of the model that answered, if any."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unblur.drift.statistics import STATISTICS, VERSION
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing

SUFFIX = ".parquet"
MARK = b"unblur.statistics"
"""Key of the file's notes that holds `VERSION`."""

Row = Mapping[str, Any]

SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ms", "UTC")),
        ("model", pa.string()),
        *((each.name, pa.string() if each.category else pa.float64()) for each in STATISTICS),
    ],
    {MARK: VERSION.encode()},
)


class OtherVersionError(UnblurError):
    """A file's figures mean something else than those of this version."""


def write_rows(path: Path, rows: "Sequence[Row] | pa.Table") -> None:
    """Write rows to a file, whole or not at all; what a row lacks stays empty."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), SCHEMA)
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")


def read_rows(path: Path) -> pa.Table:
    """Return the rows of a file, in the columns of `SCHEMA`.

    Raises:
        OtherVersionError: its figures mean something else.
        UnblurError: it is damaged, or no file of statistics.
    """
    try:
        table = pq.read_table(path, memory_map=False, partitioning=None)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:120]
        msg = f"{path}: cannot be read as Parquet ({reason}); replace or remove it"
        raise UnblurError(msg) from error
    version = (table.schema.metadata or {}).get(MARK)
    if version is None:
        msg = (
            f"{path}: holds no statistics of `unblur serve --statistics` or `unblur drift --keep`; remove it from there"
        )
        raise UnblurError(msg)
    if version != VERSION.encode():
        found = version.decode("ascii", "replace")[:20]
        msg = (
            f"{path}: its statistics are of version {found}, not {VERSION}: another unblur wrote them; take them apart"
        )
        raise OtherVersionError(msg)
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, KeyError, ValueError) as error:
        msg = f"{path}: lacks columns of its version, or has them of another type; replace or remove it"
        raise UnblurError(msg) from error
