"""Validation and test pairs: made once from sharp photographs with fixed seeds, and again from their manifest row."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.blur.recipe import Drawn, Recipe, Stratum
from unblur.data.images import read_rgb
from unblur.data.manifest import SPLITS, PairRow, Source, write_manifest
from unblur.data.pictures import sha256_pictures, write_pictures
from unblur.errors import UnblurError
from unblur.safety.paths import SafeName, SafePath, inside

Photo = NDArray[np.uint8]
Task = tuple[Source, int, Stratum]
Track = Callable[[Sequence[Task]], Iterable[Task]]


def prepare_pairs(
    sources: Sequence[Source],
    data_root: Path,
    prepared_root: Path,
    recipe: Recipe,
    *,
    pairs_per_photo: Mapping[str, int],
    max_side: Mapping[str, int],
    seed: int,
    track: Track = iter,
) -> list[PairRow]:
    """Write the pairs of every photograph whose split is in `pairs_per_photo`, then manifest.csv; return its rows.

    The kinds and strengths of a photograph's pairs are `recipe.strata`: shared out, not drawn. Everything else is
    drawn from a seed of the pair's own, made of `seed`, the photograph's SHA-256 and the pair's number: adding a
    photograph changes no other pair.

    Args:
        sources: photographs, relative to `data_root`.
        data_root: the folder of the photographs.
        prepared_root: new; gets {split}/blur/NAME_NN.png and {split}/sharp/NAME_NN.png, or, of sequences, folders of
            those names.
        recipe: the blur.
        pairs_per_photo: split -> pairs of each of its photographs.
        max_side: split -> largest side; larger photographs are cropped in their middle, never resized; sides become
            even. A split that is not named keeps its photographs whole.
        seed: of the whole set.
        track: wraps the list of pairs, for a progress bar.

    Raises:
        UnblurError: a split is unknown or has no photograph; a photograph cannot be read, is under 2 pixels a side, or
            would get the name of another.
    """
    _check_splits(sources, pairs_per_photo)
    chosen = [source for source in sources if pairs_per_photo.get(source.split, 0) > 0]
    names = _names(chosen)
    tasks = [
        (source, index, stratum)
        for source in chosen
        for index, stratum in enumerate(recipe.strata(pairs_per_photo[source.split]))
    ]
    rows: list[PairRow] = []
    current: Source | None = None
    last_truth: tuple[Photo, Path] | None = None
    for source, index, stratum in track(tasks):
        if source is not current:
            sharp, crop = _middle(source, data_root, max_side.get(source.split))
            current = source
        pair_seed = _pair_seed(seed, source, index)
        drawn = recipe.draw(np.random.default_rng(pair_seed), stratum=stratum)
        name = SafeName(f"{names[source.file]}_{index:02d}")
        blurred, truth = recipe.apply(sharp, drawn)
        blur_path, sharp_path = (
            f"{source.split}/{side}/{name}" + (".png" if pictures.ndim == 3 else "")
            for side, pictures in (("blur", blurred), ("sharp", truth))
        )
        write_pictures(prepared_root / blur_path, blurred)
        if truth.ndim == 3 and last_truth and np.array_equal(truth, last_truth[0]):
            # Encoding it again would take half of all the time.
            shutil.copyfile(last_truth[1], prepared_root / sharp_path)
        else:
            write_pictures(prepared_root / sharp_path, truth)
        last_truth = truth, prepared_root / sharp_path
        rows.append(
            PairRow(
                pair=name,
                split=source.split,
                scene=source.scene,
                source=SafePath(source.file),
                blur=SafePath(blur_path),
                sharp=SafePath(sharp_path),
                seed=pair_seed,
                kind=drawn.kind,
                strength=drawn.strength,
                parameters={**drawn.parameters, **crop},
                blur_sha256=sha256_pictures(prepared_root / blur_path),
                sharp_sha256=sha256_pictures(prepared_root / sharp_path),
            )
        )
    write_manifest(prepared_root, rows)
    return rows


def remake_pair(row: PairRow, data_root: Path, recipe: Recipe) -> tuple[Photo, Photo]:
    """Return (blurred, sharp), (H, W, 3) uint8 or frames of it, made again from the numbers in `row`."""
    photo = read_rgb(inside(data_root, row.source))
    place = row.parameters
    top, left = place["crop_top"], place["crop_left"]
    sharp = photo[top : top + place["crop_height"], left : left + place["crop_width"]]
    return recipe.apply(sharp, Drawn(row.kind, row.strength, row.parameters))


def _check_splits(sources: Sequence[Source], pairs_per_photo: Mapping[str, int]) -> None:
    for split, count in pairs_per_photo.items():
        if split not in SPLITS:
            msg = f"data.pairs_per_photo: there is no split {split!r}; expected some of {', '.join(SPLITS)}"
            raise UnblurError(msg)
        if count > 0 and not any(source.split == split for source in sources):
            msg = f"data.pairs_per_photo: asks for {split} pairs, but no photograph is in that split; see SOURCES.json"
            raise UnblurError(msg)


def _middle(source: Source, data_root: Path, max_side: int | None) -> tuple[Photo, dict[str, Any]]:
    photo = read_rgb(inside(data_root, source.file))
    height, width = (min(side, max_side or side) // 2 * 2 for side in photo.shape[:2])
    if min(height, width) < 2:
        size = f"{photo.shape[1]} x {photo.shape[0]} pixels, max_side is {max_side}"
        msg = f"{source.file}: {size}; pairs need at least 2 pixels a side"
        raise UnblurError(msg)
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    crop = {"crop_top": top, "crop_left": left, "crop_height": height, "crop_width": width}
    return np.ascontiguousarray(photo[top : top + height, left : left + width]), crop


def _pair_seed(seed: int, source: Source, index: int) -> int:
    digest = hashlib.sha256(f"{seed} {source.sha256} {index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _names(sources: Sequence[Source]) -> dict[str, str]:
    """Return file -> name in the prepared folders: the path without its first folder and ending."""
    names: dict[str, str] = {}
    owner: dict[tuple[str, str], str] = {}
    for source in sources:
        parts = Path(source.file).with_suffix("").parts
        name = "_".join(parts[1:] or parts)
        other = owner.setdefault((source.split, name), source.file)
        if other != source.file:
            msg = f"{source.file} and {other} would both be called {name!r}; rename one of them"
            raise UnblurError(msg)
        names[source.file] = name
    return names
