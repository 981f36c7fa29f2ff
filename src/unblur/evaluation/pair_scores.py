"""Score a model on a folder of blurred and sharp pictures of one name, without a prepared test split."""

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.config.schema import CheckConfig
from unblur.data.alignment import refuse_turned
from unblur.data.images import read_rgb, write_png
from unblur.data.pictures import as_planes
from unblur.errors import UnblurError, UsageError
from unblur.evaluation.fixed_pairs import restore_checked
from unblur.evaluation.panels import draw_panel
from unblur.evaluation.score_table import decimals, unit
from unblur.ingest.layouts.layout import LayoutEntry
from unblur.ingest.layouts.pairs import PAIRS
from unblur.metrics.profiles import get_profile
from unblur.records.files import write_table
from unblur.records.scores import BLURRED
from unblur.runtimes.restorer import Restorer
from unblur.runtimes.tiles import made_for, restore_tiled
from unblur.safety.atomic import replacing
from unblur.safety.owned import claim_folder

Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class PairScore:
    """One pair: the blurred picture's figure, the restored one's, their difference, seconds that restoring took."""

    pair: str
    blurred: float
    restored: float
    gain: float
    seconds: float


@dataclass(frozen=True)
class Summary:
    """Means over the pairs, in the profile's unit and seconds; `worst` is the pair that gained least."""

    blurred: float
    restored: float
    gain: float
    seconds: float
    worst: str
    worst_gain: float


def score_pairs(
    restorer: Restorer,
    root: Path,
    profile: str,
    *,
    tile: int = 0,
    overlap: int = 64,
    panels: Path | None = None,
    track: Track = iter,
) -> list[PairScore]:
    """Restore every blurred picture below `root` and compare it with its sharp one.

    Args:
        restorer: of single images.
        root: with blur/ and sharp/, or another structure of the layout "pairs".
        profile: name of a metric profile.
        tile: largest side of a tile in pixels; 0 takes each picture whole.
        overlap: of tiles, in pixels.
        panels: gets NAME.png of each pair: before, after and truth with the detail that changed most.
        track: wraps the list of pairs, for a progress bar.

    Raises:
        UnblurError: no such pairs, two of one name, a picture that cannot be read or differs from its partner in size
            or in how it lies, a panel that would replace one, or a model that is for another task or returns what is
            no picture.
    """
    if restorer.task != "image":
        msg = f"{restorer.name}: restores {restorer.task}s; pairs of single pictures need a model for them"
        raise UnblurError(msg)
    metric = get_profile(profile)
    entries = PAIRS.read(root)
    names = _names(entries)
    if panels is not None:
        _refuse_panels_over(panels, root, entries)

    def restore(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if not tile:
            return made_for(restorer, *batch.shape[-2:])(batch)
        whole = np.ascontiguousarray(batch[0].transpose(1, 2, 0))
        return restore_tiled(restorer, whole, tile, overlap).transpose(2, 0, 1)[None]

    scores: list[PairScore] = []
    for name, entry in track(list(zip(names, entries, strict=True))):
        before, truth = (read_rgb(root / file) for file in (entry.blur, entry.sharp) if file is not None)
        refuse_turned(f"{root / str(entry.blur)}", before, truth, CheckConfig())
        if before.shape != truth.shape:
            sizes = " and ".join(f"{image.shape[1]} x {image.shape[0]}" for image in (before, truth))
            msg = f"{root / str(entry.blur)}: differs from {entry.sharp} in size ({sizes}); crop both alike"
            raise UnblurError(msg)
        blurred, sharp = as_planes(before)[None], as_planes(truth)[None]
        if not scores and made_for(restorer, *blurred.shape[-2:]) is not restorer:
            restore(blurred)  # what a runtime prepares for the first picture is in none's seconds
        start = time.perf_counter()
        restored = restore_checked(restorer.name, restore, name, blurred)
        seconds = time.perf_counter() - start
        target = torch.from_numpy(sharp)
        was, now = (float(metric.compute(torch.from_numpy(image), target)[0]) for image in (blurred, restored))
        scores.append(PairScore(name, was, now, now - was, seconds))
        if panels is not None:
            after = np.rint(restored[0].transpose(1, 2, 0) * 255).astype(np.uint8)
            captions = tuple(
                f"{label}   {value:.{decimals(profile)}f} {unit(profile)}".rstrip()
                for label, value in ((BLURRED, was), (restorer.name, now))
            )
            write_png(
                panels / f"{name}.png", draw_panel(f"{name}   {profile}", (*captions, "truth"), [before, after, truth])
            )
    return scores


def claim_panels(panels: Path, root: Path, overwrite: bool = False) -> None:
    """Mark a folder as one of panels, before the work begins.

    Args:
        panels: see `score_pairs`.
        root: see `score_pairs`.
        overwrite: take the folder over, whoever made it; the pictures that are scored are never replaced.

    Raises:
        UnblurError: no such pairs, two of one name, a panel would replace one of their pictures, or the folder is
            neither empty nor ours.
    """
    _refuse_panels_over(panels, root, PAIRS.read(root))
    claim_folder(panels, "score", overwrite=overwrite)


def summarize(scores: Sequence[PairScore]) -> Summary:
    """Return the means over the pairs, of which there is at least one, and the pair with the least gain."""
    worst = min(scores, key=lambda score: score.gain)
    blurred, restored, gain, seconds = (
        math.fsum(getattr(score, name) for score in scores) / len(scores)
        for name in ("blurred", "restored", "gain", "seconds")
    )
    return Summary(blurred, restored, gain, seconds, worst.pair, worst.gain)


def check_out(path: Path) -> None:
    """Raise UsageError unless `write_pair_scores` can write this kind of file."""
    if path.suffix not in (".csv", ".json"):
        msg = f"{path}: expected a name that ends in .csv or .json"
        raise UsageError(msg)


def is_pair_scores(path: Path) -> bool:
    """Say whether a file is what `write_pair_scores` writes."""
    names = [field.name for field in fields(PairScore)]
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            return text.partition("\n")[0] == ",".join(names)
        return list(json.loads(text)["pairs"][0]) == names
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False


def write_pair_scores(path: Path, scores: Sequence[PairScore], about: dict[str, Any]) -> None:
    """Write the scores with full precision: .csv has a line a pair, .json also `about` and the summary."""
    check_out(path)
    if path.suffix == ".csv":
        write_table(path, PairScore, scores)
        return
    content = {**about, "mean": asdict(summarize(scores)), "pairs": [asdict(score) for score in scores]}
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _refuse_panels_over(panels: Path, root: Path, entries: Sequence[LayoutEntry]) -> None:
    """Raise UnblurError if a panel would replace one of the pictures, by whatever way its path leads there."""
    pictures = [(root / file).stat() for entry in entries for file in (entry.blur, entry.sharp) if file is not None]
    taken = {(status.st_dev, status.st_ino) for status in pictures}
    for name in _names(entries):
        panel = panels / f"{name}.png"
        if panel.exists() and ((status := panel.stat()).st_dev, status.st_ino) in taken:
            msg = (
                f"{panel}: is a picture that is scored, and its panel would replace it; give the panels another folder"
            )
            raise UnblurError(msg)


def _names(entries: Sequence[LayoutEntry]) -> list[str]:
    """Return a name for each pair: the file's, or with its folders where two would be called the same.

    Raises:
        UnblurError: two pairs would get one name.
    """
    stems = [entry.sharp.stem for entry in entries]
    if len(set(stems)) == len(stems):
        return stems
    names = ["_".join(entry.sharp.with_suffix("").parts) for entry in entries]
    owner: dict[str, Path] = {}
    for name, entry in zip(names, entries, strict=True):
        if (other := owner.setdefault(name, entry.sharp)) != entry.sharp:
            msg = f"{other} and {entry.sharp} would both be called {name!r}; rename one of them"
            raise UnblurError(msg)
    return names
