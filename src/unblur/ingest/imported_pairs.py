"""Validation and test pairs of an imported dataset, brought to where every later stage looks for pairs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import CheckConfig
from unblur.data.alignment import refuse_turned
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import PairRow, write_manifest
from unblur.data.pictures import require_unchanged, sha256_pictures, write_pictures
from unblur.data.sequences import scenes, unbroken
from unblur.errors import UnblurError
from unblur.ingest.imported import Imported
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import SafePath, inside

IMPORT = "unblur data import"
T = TypeVar("T")
Track = Callable[[Sequence[Any]], Iterable[Any]]


def bring_pairs(
    dataset: Imported,
    prepared_root: Path,
    *,
    max_side: Mapping[str, int],
    max_pairs: Mapping[str, int],
    limits: CheckConfig | None = None,
    track: Track = iter,
) -> list[PairRow]:
    """Write the validation and test pairs of `dataset` as PNG files and manifest.csv, and return its rows.

    Training pairs are not copied: they are read where they lie.

    Args:
        dataset: with blurred files.
        prepared_root: new; gets {val,test}/{blur,sharp}/PAIR.png.
        max_side: split -> largest side; larger pictures are cropped in their middle, never resized.
        max_pairs: split -> number of pairs, taken at equal steps; a split that is not named keeps all.
        limits: from where on a pair counts as turned; None is the default.
        track: wraps the rows, for a progress bar.

    Raises:
        UnblurError: a file cannot be read or was changed since the import, a pair differs in size, or one side lies
            otherwise.
    """
    of_split = {split: [row for row in dataset.rows if row.split == split] for split in ("val", "test")}
    chosen = [row for split, rows in of_split.items() for row in _spread(rows, max_pairs.get(split))]
    rows = [
        _bring(row, dataset.root, prepared_root, max_side.get(row.split), limits or CheckConfig())
        for row in track(chosen)
    ]
    write_manifest(prepared_root, rows)
    return rows


def bring_sequences(
    dataset: Imported,
    prepared_root: Path,
    *,
    task: str,
    frames: int,
    max_side: Mapping[str, int],
    max_pairs: Mapping[str, int],
    limits: CheckConfig | None = None,
    track: Track = iter,
) -> list[PairRow]:
    """Write the validation and test sequences of `dataset` as folders of PNG files and manifest.csv; return its rows.

    A sequence is `frames` neighbouring frames, its strength their mean; of a burst the truth is that of the first.
    Sequences do not overlap, and what is left over at the end of a scene is not used.

    Args:
        dataset: with blurred files whose rows tell their `frame`.
        prepared_root: new; gets {val,test}/{blur,sharp}/PAIR/NNNN.png.
        task: "video" or "burst".
        frames: of each.
        max_side: split -> largest side; larger pictures are cropped in their middle, never resized.
        max_pairs: split -> number of sequences, taken at equal steps; a split that is not named keeps all.
        limits: as for `bring_pairs`.
        track: wraps the sequences, for a progress bar.

    Raises:
        UnblurError: there is no sequence, a file cannot be read or was changed since the import, pictures differ in
            size, or one side lies otherwise.
    """
    found = [
        window
        for split in ("val", "test")
        for window in _spread(_sequences(dataset.rows, split, frames), max_pairs.get(split))
    ]
    if not found:
        msg = f"{dataset.root}: no {frames} neighbouring frames in validation or test; lower data.frames"
        raise UnblurError(msg)
    how: dict[str, Any] = {"task": task, "limits": limits or CheckConfig()}
    rows = [_bring_sequence(window, dataset.root, prepared_root, max_side, **how) for window in track(found)]
    write_manifest(prepared_root, rows)
    return rows


def _sequences(rows: Sequence[PairRow], split: str, frames: int) -> list[list[PairRow]]:
    found = scenes(row for row in rows if row.split == split)
    runs = (run for scene in found.values() for run in unbroken(scene))
    return [run[first : first + frames] for run in runs for first in range(0, len(run) - frames + 1, frames)]


def _bring_sequence(
    window: list[PairRow],
    root: Path,
    prepared_root: Path,
    max_side: Mapping[str, int],
    *,
    task: str,
    limits: CheckConfig,
) -> PairRow:
    first = window[0]
    for row in window:
        require_unchanged(row, root, IMPORT)
    truths = window[:1] if task == "burst" else window
    sides = [[read_rgb(inside(root, file)) for file in files] for files in
             ([row.blur for row in window], [row.sharp for row in truths])]  # fmt: skip
    for number, (row, image) in enumerate(zip(window, sides[0], strict=True)):
        refuse_turned(f"{root / row.blur}", image, sides[1][0 if task == "burst" else number], limits)
    sizes = {image.shape for side in sides for image in side}
    if len(sizes) > 1:
        msg = f"pair {first.pair}: its {len(window)} frames differ in size; mend them, or name one in data.exclude"
        raise UnblurError(msg)
    inner, crop = _middle(sides[0][0], max_side.get(first.split))
    files = [f"{first.split}/blur/{first.pair}", f"{first.split}/sharp/{first.pair}"]
    blurred, sharp = (np.stack([image[inner] for image in side]) for side in sides)
    if task == "burst":
        files[1] += ".png"
        sharp = sharp[0]
    write_pictures(prepared_root / files[0], blurred)
    write_pictures(prepared_root / files[1], sharp)
    return replace(
        first,
        blur=SafePath(files[0]),
        sharp=SafePath(files[1]),
        strength=round(fmean(row.strength for row in window), 2),
        parameters={**first.parameters, **crop, "frames": len(window)},
        blur_sha256=sha256_pictures(prepared_root / files[0]),
        sharp_sha256=sha256_pictures(prepared_root / files[1]),
    )


def _spread(found: list[T], count: int | None) -> list[T]:
    if count is None or count >= len(found):
        return found
    return [found[int(place)] for place in np.linspace(0, len(found) - 1, count).round()]


def _middle(image: NDArray[np.uint8], side: int | None) -> tuple[tuple[slice, slice], dict[str, int]]:
    height, width = (min(length, side or length) for length in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    crop = {"crop_top": top, "crop_left": left, "crop_height": height, "crop_width": width}
    return (slice(top, top + height), slice(left, left + width)), crop


def _bring(row: PairRow, root: Path, prepared_root: Path, side: int | None, limits: CheckConfig) -> PairRow:
    require_unchanged(row, root, IMPORT)
    pair = [read_rgb(inside(root, file)) for file in (row.blur, row.sharp)]
    refuse_turned(f"{root / row.blur}", pair[0], pair[1], limits)
    if pair[0].shape != pair[1].shape:
        sizes = " and ".join(f"{image.shape[1]} x {image.shape[0]}" for image in pair)
        msg = f"pair {row.pair}: {row.blur} and {row.sharp} have {sizes} pixels; mend them, or name one in data.exclude"
        raise UnblurError(msg)
    inner, crop = _middle(pair[0], side)
    files = [f"{row.split}/{name}/{row.pair}.png" for name in ("blur", "sharp")]
    for file, image in zip(files, pair, strict=True):
        write_png(prepared_root / file, np.ascontiguousarray(image[inner]))
    return replace(
        row,
        blur=SafePath(files[0]),
        sharp=SafePath(files[1]),
        parameters={**row.parameters, **crop},
        blur_sha256=sha256_file(prepared_root / files[0]),
        sharp_sha256=sha256_file(prepared_root / files[1]),
    )
