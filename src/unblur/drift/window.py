"""What is compared: statistics of many photographs, from Parquet files, a folder of photographs, or prepared pairs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unblur.data.manifest import read_manifest
from unblur.drift.columns import SCHEMA, SUFFIX, Row, read_rows
from unblur.drift.recorder import about_file
from unblur.drift.statistics import STATISTICS, measure
from unblur.errors import UnblurError
from unblur.images.photo import read_photo
from unblur.restoring.found import find_photos
from unblur.safety.paths import inside

LEAST = 50
"""Photographs that a window or reference has at least."""

MANIFEST = "manifest.csv"
SPLITS = ("train", "val")  # of prepared pairs: the test split decides at the gate alone
OF_FILES = ("megapixels", "format", "quality")  # which the crops of prepared pairs do not have of the photographs

Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Window:
    """Statistics of photographs, in the order of their time.

    `rows` has the columns of `unblur.drift.columns.SCHEMA`; `unread` has a line for each file that could not be read.
    """

    name: str
    rows: pa.Table
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return the finite values of a column of numbers."""
        values = np.asarray(self.rows[name].drop_null().to_numpy(), np.float64)
        return values[np.isfinite(values)]

    def categories(self, name: str) -> NDArray[np.str_]:
        """Return the values of a column of categories."""
        return np.asarray(self.rows[name].drop_null().to_pylist(), np.str_)

    @property
    def models(self) -> list[str]:
        """SHA-256 of the models that have answered."""
        return sorted(pc.unique(self.rows["model"].drop_null()).to_pylist())


def read_window(
    path: Path, since: datetime | None = None, until: datetime | None = None, track: Track = iter
) -> Window:
    """Return the statistics of a Parquet file, a folder of them, a folder of photographs, or prepared pairs.

    Args:
        path: pairs are those of the training and validation splits of a folder with manifest.csv.
        since: first moment, with its time zone; for Parquet files alone.
        until: moment before which a photograph was restored; for Parquet files alone.
        track: wraps the list of photographs, for a progress bar.

    Raises:
        UnblurError: there is nothing, fewer than `LEAST` rows in the time, or no time to choose by.
    """
    if not path.exists():
        msg = f"{path}: there is no such file or folder; `unblur serve --statistics FOLDER` writes statistics"
        raise UnblurError(msg)
    files = [path] if path.is_file() else sorted(path.rglob(f"*{SUFFIX}"))
    if files:
        rows, unread = _of_files(files)
        rows = _within(rows, since, until)
    elif since or until:
        msg = f"{path}: holds no statistics of a server, so that no time can be chosen; leave out --since and --until"
        raise UnblurError(msg)
    else:
        rows, unread = _of_pictures(path, track)
    if rows.num_rows < LEAST:
        more = f", and {len(unread)} files could not be read: {unread[0]}" if unread else ""
        msg = f"{path}: {rows.num_rows} photographs, at least {LEAST} are needed to compare{more}"
        raise UnblurError(msg)
    return Window(str(path), rows.sort_by("time") if files else rows, unread)


def _of_files(files: Sequence[Path]) -> tuple[pa.Table, tuple[str, ...]]:
    tables, unread = [SCHEMA.empty_table()], []
    for file in files:
        try:
            tables.append(read_rows(file))
        except UnblurError as error:
            unread.append(str(error))
    return pa.concat_tables(tables), tuple(unread)


def _within(rows: pa.Table, since: datetime | None, until: datetime | None) -> pa.Table:
    for moment, fits in ((since, pc.greater_equal), (until, pc.less)):
        if moment is not None:
            rows = rows.filter(fits(rows["time"], pa.scalar(moment.astimezone(UTC), SCHEMA.field("time").type)))
    return rows


def _of_pictures(folder: Path, track: Track) -> tuple[pa.Table, tuple[str, ...]]:
    """Measure photographs in the order of their names, pairs by scene: what is of one place stands together."""
    pairs = (folder / MANIFEST).is_file()
    if pairs:
        chosen = [row for row in read_manifest(folder) if row.split in SPLITS]
        chosen.sort(key=lambda row: (row.scene, row.pair))
        sources = [_first_frame(inside(folder, row.blur)) for row in chosen]
    else:
        sources = find_photos(folder)[0]
    rows: list[Row] = []
    unread = []
    for source in track(sources):
        try:
            figures = measure(read_photo(source).pixels)
            row = {**figures, **about_file(source)}
            rows.append({name: value for name, value in row.items() if not (pairs and name in OF_FILES)})
        except UnblurError as error:
            unread.append(str(error))
    return pa.Table.from_pylist(rows, SCHEMA), tuple(unread)


def _first_frame(path: Path) -> Path:
    """Return a picture itself, the first one of a folder of frames."""
    return min(path.iterdir(), default=path) if path.is_dir() else path


def columns_of(*windows: Window) -> list[str]:
    """Return the statistics of which each window has at least `LEAST` values."""
    return [
        each.name
        for each in STATISTICS
        if all(
            len(window.categories(each.name) if each.category else window.numbers(each.name)) >= LEAST
            for window in windows
        )
    ]
