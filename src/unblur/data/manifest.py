"""The lists that travel with the data: SOURCES.json (photographs and their splits) and manifest.csv (blurred pairs)."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from unblur.data.listing import SOURCES, read_entries
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.paths import SafeName, SafePath
from unblur.safety.unchanged import require_unchanged

SPLITS = ("train", "val", "test")
FRAME_AVERAGE = "frame_average"
"""The kind of pairs that `unblur data average` makes."""


@dataclass(frozen=True)
class Source:
    """A sharp photograph: its file relative to the data root, and the split that its whole scene belongs to."""

    file: str
    split: str
    scene: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class PairRow:
    """A blurred photograph and its truth; `source`, `kind` and `parameters` make both again, byte for byte.

    `blur` and `sharp` are relative to the prepared root. `strength` is the extent of the PSF in pixels, NaN
    where nobody knows it: pairs of a camera. `parameters`
    are plain JSON numbers: those of the blur and its noise, and the crop's place in the source.
    """

    pair: SafeName
    split: str
    scene: str
    source: SafePath
    blur: SafePath
    sharp: SafePath
    seed: int
    kind: str
    strength: float
    parameters: dict[str, Any]
    blur_sha256: str
    sharp_sha256: str


def read_sources(data_root: Path) -> list[Source]:
    """Return the photographs listed in `<data_root>/SOURCES.json`; entries without a split (videos) are left out.

    Raises:
        UnblurError: the list is missing or broken, or a scene lies in two splits, which would leak test into training.
    """
    path = data_root / SOURCES
    if not path.is_file():
        msg = f"{path}: there is no list of photographs; run `unblur data starter` or `dvc pull`"
        raise UnblurError(msg)
    sources = []
    for entry in read_entries(path):
        if entry.split is None:
            continue
        if entry.split not in SPLITS:
            msg = f"{path}: {entry.file} has the split {entry.split!r}; expected one of {', '.join(SPLITS)}"
            raise UnblurError(msg)
        sources.append(Source(entry.file, entry.split, entry.scene, entry.sha256, entry.licence))
    split_of: dict[str, str] = {}
    for source in sources:
        if split_of.setdefault(source.scene, source.split) != source.split:
            both = f"{split_of[source.scene]} and {source.split}"
            msg = f"{path}: scene {source.scene!r} lies in {both}; put all its photographs in one split"
            raise UnblurError(msg)
    return sources


def write_source_index(prepared_root: Path, sources: Iterable[Source]) -> None:
    """Write `<prepared_root>/sources.csv`: the photographs that this preparation was made from."""
    _write_csv(prepared_root / "sources.csv", [field.name for field in fields(Source)], map(asdict, sources))


def read_manifest(prepared_root: Path) -> list[PairRow]:
    """Return the pairs listed in `<prepared_root>/manifest.csv`.

    Raises:
        UnblurError: the file is missing, lacks a column, or a row cannot be read (its line is named).
    """
    return read_rows(prepared_root / "manifest.csv", "run `unblur prepare` again")


def read_rows(path: Path, mend: str) -> list[PairRow]:
    """Return the rows of a manifest; `mend` says in an error how to write it again.

    Raises:
        UnblurError: the file is missing or was changed since it was written, lacks a column, or a row cannot be read
            (its line is named).
    """
    if not path.is_file():
        msg = f"{path}: there is no manifest of pairs; {mend.removesuffix(' again')}"
        raise UnblurError(msg)
    try:
        content = path.read_bytes()
        require_unchanged(path, content)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: not a table of pairs ({type(error).__name__}); {mend}"
        raise UnblurError(msg) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [field.name for field in fields(PairRow) if field.name not in (reader.fieldnames or [])]
    if missing:
        msg = f"{path}: lacks the columns {', '.join(missing)}; {mend}"
        raise UnblurError(msg)
    rows = []
    for line in reader:
        try:
            rows.append(_pair_row(line))
        except (TypeError, ValueError, UnblurError) as error:
            msg = f"{path}, line {reader.line_num}: {error}; {mend}"
            raise UnblurError(msg) from error
    return rows


def write_manifest(prepared_root: Path, rows: Iterable[PairRow]) -> None:
    """Write `<prepared_root>/manifest.csv`, one line a pair, `parameters` as JSON."""
    write_rows(prepared_root / "manifest.csv", rows)


def write_rows(path: Path, rows: Iterable[PairRow]) -> None:
    """Write a manifest, one line a pair."""
    lines = ({**asdict(row), "parameters": json.dumps(row.parameters)} for row in rows)
    _write_csv(path, [field.name for field in fields(PairRow)], lines)


def _pair_row(line: Mapping[str, str]) -> PairRow:
    texts: dict[str, Any] = {field.name: line[field.name] for field in fields(PairRow)}
    parameters = json.loads(texts["parameters"])
    if not isinstance(parameters, dict):
        msg = f"parameters are {texts['parameters']!r}, expected a JSON object"
        raise TypeError(msg)
    if texts["split"] not in SPLITS:
        msg = f"there is no split {texts['split']!r}; expected one of {', '.join(SPLITS)}"
        raise ValueError(msg)
    numbers = {"seed": int(texts["seed"]), "strength": float(texts["strength"]), "parameters": parameters}
    paths = {name: SafePath(texts[name]) for name in ("source", "blur", "sharp")}
    return PairRow(**{**texts, **numbers, **paths, "pair": SafeName(texts["pair"])})


def _write_csv(path: Path, columns: list[str], lines: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
