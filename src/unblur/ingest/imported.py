"""Datasets that stay where they lie: a manifest of their files, written by `unblur data import`.

NAME.csv has the columns of every manifest; NAME.json beside it says which layout and which folder its paths are
relative to. A row without `blur` is a sharp photograph or a video, whose blur is made later.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unblur.data.manifest import PairRow, Source, read_rows, write_rows
from unblur.errors import UnblurError
from unblur.ingest.layouts.layout import Layout, LayoutEntry
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import SafeName, SafePath

Track = Callable[[Sequence[Any]], Iterable[Any]]
LICENCE = "see the dataset's page"


@dataclass(frozen=True)
class Imported:
    """An imported dataset: its layout's name, the folder that the rows' files are relative to, and the rows."""

    layout: str
    task: str
    root: Path
    rows: list[PairRow]

    @property
    def has_pairs(self) -> bool:
        """Say whether blurred files are there; otherwise the rows are sharp photographs or videos."""
        return any(row.blur for row in self.rows)

    def without(self, exclude: Sequence[str]) -> "Imported":
        """Return the dataset without the rows that have one of these files."""
        return replace(self, rows=[row for row in self.rows if not {row.blur, row.sharp} & set(exclude)])

    def sources(self) -> list[Source]:
        """Return the rows of sharp photographs as sources for the recipe's blur."""
        return [Source(row.sharp, row.split, row.scene, row.sharp_sha256, LICENCE) for row in self.rows if not row.blur]


def import_dataset(layout: Layout, root: Path, *, hold_out: float = 0.1, track: Track = iter) -> Imported:
    """Read the dataset at `root` and hash its files; nothing is moved or changed.

    The kind of blur is the layout's name; its strength is known of averaged videos alone, else NaN.

    Args:
        layout: how the files lie.
        root: the dataset's folder.
        hold_out: share of the training scenes, in [0, 1), that become "val", and "test", where the dataset has none:
            whole scenes or clips, chosen by the hash of their names. A dataset for test alone stays so.
        track: wraps the list of files, for a progress bar.

    Raises:
        UnblurError: `root` has another structure, or a file is missing.
    """
    if not 0 <= hold_out < 1:
        msg = f"got a share of {hold_out} to hold out; expected 0 <= share < 1"
        raise UnblurError(msg)
    root = root.expanduser().resolve()
    entries = layout.read(root)
    files = sorted({file for entry in entries for file in (entry.blur, entry.sharp) if file is not None})
    digests = {file: sha256_file(root / file) for file in track(files)}
    names = _names(entries)
    split_of = _splits(entries, hold_out)
    rows = [
        PairRow(
            pair=SafeName(name),
            split=split_of[entry.kept_together],
            scene=entry.scene,
            source=SafePath(entry.sharp.as_posix()),
            blur=SafePath(entry.blur.as_posix() if entry.blur else ""),
            sharp=SafePath(entry.sharp.as_posix()),
            seed=0,
            kind=layout.name,
            strength=entry.strength,
            parameters={} if entry.frame is None else {"frame": entry.frame},
            blur_sha256=digests[entry.blur] if entry.blur else "",
            sharp_sha256=digests[entry.sharp],
        )
        for name, entry in zip(names, entries, strict=True)
    ]
    return Imported(layout.name, layout.task, root, rows)


def write_imported(path: Path, dataset: Imported) -> None:
    """Write the manifest `path` (.csv) and, beside it, the .json with layout, task and root."""
    about = {"layout": dataset.layout, "task": dataset.task, "root": str(dataset.root)}
    with replacing(path.with_suffix(".json")) as unfinished:
        unfinished.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    write_rows(path, dataset.rows)


def read_imported(path: Path, root: Path | None = None) -> Imported:
    """Return the dataset of a manifest.

    Args:
        path: NAME.csv.
        root: where the files are on this machine; None is where they were imported from.

    Raises:
        UnblurError: the manifest or its .json is missing or broken, or the root is no folder.
    """
    again = "run `unblur data import` again"
    rows = read_rows(path, again)
    about_path = path.with_suffix(".json")
    try:
        about = json.loads(about_path.read_text(encoding="utf-8"))
        dataset = Imported(about["layout"], about["task"], Path(root or about["root"]), rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{about_path}: expected layout, task and root of {path.name} ({type(error).__name__}); {again}"
        raise UnblurError(msg) from error
    if not dataset.root.is_dir():
        msg = f"{dataset.root}: the dataset of {path} is not there; say with data.source.root=FOLDER where it is"
        raise UnblurError(msg)
    return dataset


def is_import_of(path: Path, layout: str, root: Path) -> bool:
    """Say whether `path` and its .json are an earlier import of the same dataset."""
    try:
        earlier = read_imported(path, root)
        recorded = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["root"]
    except UnblurError:
        return False
    return earlier.layout == layout and Path(recorded) == root.expanduser().resolve()


def summary(dataset: Imported, sizes: Sequence[tuple[int, int]]) -> list[list[str]]:
    """Return a line for each split: split, scenes, pairs, size of the files listed (`sizes` in rows' order)."""
    lines = []
    for split in ("train", "val", "test"):
        rows = [(row, size) for row, size in zip(dataset.rows, sizes, strict=True) if row.split == split]
        found = Counter(f"{width} x {height}" for _, (width, height) in rows if width)
        named = ", ".join(name for name, _ in found.most_common(2)) + (
            f", {len(found) - 2} more" if len(found) > 2 else ""
        )
        lines.append([split, str(len({row.scene for row, _ in rows})), str(len(rows)), named])
    return lines


def _splits(entries: Sequence[LayoutEntry], hold_out: float) -> dict[str, str]:
    """Return scene or clip -> split, with some held out for the splits that the dataset lacks."""
    split_of = {entry.kept_together: entry.split for entry in entries}
    training = [scene for scene, split in split_of.items() if split == "train"]
    training.sort(key=lambda scene: hashlib.sha256(scene.encode()).hexdigest())
    for split in ("val", "test"):
        if hold_out > 0 and len(training) >= 2 and split not in split_of.values():
            count = max(1, round(hold_out * len(training)))
            split_of |= dict.fromkeys(training[:count], split)
            training = training[count:]
    return split_of


def _names(entries: Sequence[LayoutEntry]) -> list[str]:
    """Return a name for each entry that may be a file's: scene and picture, the whole path where that is not enough.

    Raises:
        UnblurError: two entries would get one name.
    """
    short = ["_".join((*Path(entry.scene).parts, (entry.blur or entry.sharp).stem)) for entry in entries]
    count = Counter(short)
    long = ["_".join((entry.blur or entry.sharp).with_suffix("").parts) for entry in entries]
    names = [brief if count[brief] == 1 else whole for brief, whole in zip(short, long, strict=True)]
    owner: dict[str, Path] = {}
    for name, entry in zip(names, entries, strict=True):
        file = entry.blur or entry.sharp
        if (other := owner.setdefault(name, file)) != file:
            msg = f"{other} and {file} would both be called {name!r}; rename one of them"
            raise UnblurError(msg)
    return names
