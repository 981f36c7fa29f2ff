"""Validation and test pairs of an imported dataset, brought to where every later stage looks for pairs."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unblur.data.images import read_rgb, write_png
from unblur.data.imported import Imported
from unblur.data.manifest import SPLITS, PairRow, write_manifest
from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import inside

Track = Callable[[Sequence[Any]], Iterable[Any]]


def bring_pairs(
    dataset: Imported,
    prepared_root: Path,
    *,
    max_side: Mapping[str, int],
    max_pairs: Mapping[str, int],
    track: Track = iter,
) -> list[PairRow]:
    """Write the validation and test pairs of `dataset` as PNG files and manifest.csv, and return its rows.

    Training pairs are not copied: they are read where they lie.

    Args:
        dataset: with blurred files.
        prepared_root: gets {val,test}/{blur,sharp}/PAIR.png; earlier pairs there are removed.
        max_side: split -> largest side; larger pictures are cropped in their middle, never resized.
        max_pairs: split -> number of pairs, taken at equal steps; a split that is not named keeps all.
        track: wraps the rows, for a progress bar.

    Raises:
        UnblurError: a file cannot be read, or a pair differs in size.
    """
    (prepared_root / "manifest.csv").unlink(missing_ok=True)  # it comes back last: no manifest, no finished pairs
    for split in SPLITS:
        for side in ("blur", "sharp"):
            shutil.rmtree(prepared_root / split / side, ignore_errors=True)
    chosen = [row for split in ("val", "test") for row in _spread(dataset.rows, split, max_pairs.get(split))]
    rows = [_bring(row, dataset.root, prepared_root, max_side.get(row.split)) for row in track(chosen)]
    write_manifest(prepared_root, rows)
    return rows


def _spread(rows: Sequence[PairRow], split: str, count: int | None) -> list[PairRow]:
    of_split = [row for row in rows if row.split == split]
    if count is None or count >= len(of_split):
        return of_split
    return [of_split[int(place)] for place in np.linspace(0, len(of_split) - 1, count).round()]


def _bring(row: PairRow, root: Path, prepared_root: Path, side: int | None) -> PairRow:
    pair = [read_rgb(inside(root, file)) for file in (row.blur, row.sharp)]
    if pair[0].shape != pair[1].shape:
        sizes = " and ".join(f"{image.shape[1]} x {image.shape[0]}" for image in pair)
        msg = f"pair {row.pair}: {row.blur} and {row.sharp} have {sizes} pixels; mend them, or name one in data.exclude"
        raise UnblurError(msg)
    height, width = (min(length, side or length) for length in pair[0].shape[:2])
    top, left = (pair[0].shape[0] - height) // 2, (pair[0].shape[1] - width) // 2
    files = [f"{row.split}/{name}/{row.pair}.png" for name in ("blur", "sharp")]
    for file, image in zip(files, pair, strict=True):
        write_png(prepared_root / file, np.ascontiguousarray(image[top : top + height, left : left + width]))
    crop = {"crop_top": top, "crop_left": left, "crop_height": height, "crop_width": width}
    return replace(
        row,
        blur=files[0],
        sharp=files[1],
        parameters={**row.parameters, **crop},
        blur_sha256=sha256_file(prepared_root / files[0]),
        sharp_sha256=sha256_file(prepared_root / files[1]),
    )
