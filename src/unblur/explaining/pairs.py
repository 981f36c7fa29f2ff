"""Explanations over the pairs of a dataset: bounds on errors and what they reach, blur maps against the known blur."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.blur.recipe import BlurRecipe, Drawn, Stratum
from unblur.data.manifest import PairRow
from unblur.errors import UnblurError
from unblur.evaluation.answers import read_answer, shown
from unblur.evaluation.fixed_pairs import Batch, read_pair
from unblur.evaluation.strata import NEARLY_SHARP, strength_bin
from unblur.explaining.blur_map import from_correction, from_spectrum
from unblur.explaining.conformal import (
    Calibration,
    Traits,
    calibrate,
    coverage,
    error_of,
    interval_by_scene,
    signs_of,
    traits_of,
)
from unblur.explaining.filters import Example
from unblur.explaining.ranks import rank_correlations
from unblur.records.explanation import Coverage

if TYPE_CHECKING:
    from unblur.runtimes.restorer import Restorer

Field = NDArray[np.float32]
Track = Callable[[Sequence[Any]], Iterable[Any]]
Apply = Callable[[NDArray[Any], Drawn], tuple[NDArray[Any], NDArray[Any]]]
RIM = 24  # pixels: the border of a picture that is blurred again is mirrored, which the pair's was not
SHARP = "identity"  # the kind of blur that is none
FEW = 5  # pairs: fewer have no rank correlation


@dataclass(frozen=True)
class Pair:
    """A pair with the answer to it: `before`, `after` and `truth` (H, W, 3), `frames` (K, H, W, 3), all in [0, 1]."""

    row: PairRow
    frames: Field
    reference: int
    after: Field
    truth: Field

    @property
    def before(self) -> Field:
        """The frame that is restored."""
        return np.asarray(self.frames[self.reference])

    @property
    def signs(self) -> Field:
        """What tells of errors, (SIGNS, H, W)."""
        return signs_of(self.before, self.after)

    @property
    def traits(self) -> Traits:
        """What tells whether it is nearly sharp, (TRAITS,)."""
        return traits_of(self.before, self.after, self.extent)

    @cached_property
    def extent(self) -> float:
        """The blur that the model's correction tells, in pixels."""
        return from_correction(self.before, self.after).typical

    @property
    def stratum(self) -> str:
        """Its bin of strength."""
        return strength_bin(self.row.kind, self.row.strength)


def answered(restorer: "Restorer", rows: Sequence[PairRow], root: Path, track: Track = iter) -> list[Pair]:
    """Return pairs with the model's answers, as `unblur evaluate` writes them; of a clip the middle frame counts."""
    return [_pair(row, root, lambda _, blurred: shown(restorer(blurred))) for row in track(list(rows))]


def read_answered(answers: Path, rows: Sequence[PairRow], root: Path) -> list[Pair]:
    """Return pairs with the answers that `unblur evaluate` has written into the folder `answers`.

    Raises:
        UnblurError: there are no answers, one is missing, or is of another size than its pair.
    """
    if not answers.is_dir():
        msg = f"{answers}: the answers to the test pairs are not there; make them with `unblur evaluate`"
        raise UnblurError(msg)
    return [_pair(row, root, lambda pair, _: read_answer(answers, pair)) for row in rows]


def nearly_sharp(restorer: "Restorer", pairs: Sequence[Pair], recipe: BlurRecipe, track: Track = iter) -> list[Pair]:
    """Return a pair more of each scene, of its photograph as the recipe's kind `identity` leaves it.

    The few validation pairs of a photograph may all be blurred; bounds would then be promised to nearly sharp
    pictures that were never seen. None where there are such pairs already, or the recipe has no such kind.
    """
    if SHARP not in recipe.operators or any(pair.stratum == NEARLY_SHARP for pair in pairs):
        return []
    made = []
    for pair in track(list({pair.row.scene: pair for pair in pairs if len(pair.frames) == 1}.values())):
        drawn = recipe.draw(np.random.default_rng(pair.row.seed), stratum=Stratum(SHARP))
        again, truth = (np.divide(each, 255, dtype=np.float32) for each in recipe.apply(_bytes(pair.truth), drawn))
        after = shown(restorer(np.ascontiguousarray(again.transpose(2, 0, 1))[None]))
        row = replace(pair.row, kind=drawn.kind, strength=drawn.strength, parameters=drawn.parameters)
        made.append(Pair(row, again[None], 0, after, truth))
    return made


def calibrated(pairs: Sequence[Pair], model_sha256: str, level: float) -> Calibration:
    """Return the bounds that hold on these pairs."""
    signs = [pair.signs for pair in pairs]
    errors = [error_of(pair.after, pair.truth) for pair in pairs]
    scenes = [pair.row.scene for pair in pairs]
    traits = [pair.traits for pair in pairs]
    sharp = [pair.stratum == NEARLY_SHARP for pair in pairs]
    return calibrate(signs, errors, scenes, traits, sharp, model_sha256=model_sha256, level=level)


def covered(calibration: Calibration, pairs: Sequence[Pair]) -> list[Coverage]:
    """Return what the bounds reach on other pairs: on all, then by stratum; each pair counts the same."""
    reached: dict[str, list[tuple[float, str]]] = {"all": []}
    for pair in pairs:
        bound = calibration.bound(pair.signs, pair.traits)
        share = coverage(bound, error_of(pair.after, pair.truth))
        for stratum in ("all", pair.stratum):
            reached.setdefault(stratum, []).append((share, pair.row.scene))
    found = []
    for name, measured in reached.items():
        shares, scenes = zip(*measured, strict=True)
        low, high = interval_by_scene(shares, scenes)
        mean = float(np.mean(shares))
        found.append(Coverage(name, len(shares), len(set(scenes)), calibration.level, mean, low, high))
    return found


def blur_ranks(pairs: Sequence[Pair]) -> tuple[float | None, float | None]:
    """Return the rank correlations of the known strength with the blur by spectrum, and by the correction."""
    known = [pair for pair in pairs if np.isfinite(pair.row.strength)]
    if len(known) < FEW:
        return None, None
    extents = np.array([(from_spectrum(pair.before).typical, pair.extent) for pair in known])
    spectrum, correction = rank_correlations(np.array([pair.row.strength for pair in known]), extents)
    return float(spectrum), float(correction)


def reblur_residuals(pairs: Sequence[Pair], apply: Apply, kinds: Iterable[str]) -> tuple[float | None, float | None]:
    """Return root mean squares in steps of 255 between the input and a picture that is blurred as the pair was.

    The first is of the restored picture; the second of the input itself, as if nothing had been restored: an answer
    that undoes the blur rightly lies below it.

    Args:
        pairs: of photographs.
        apply: the recipe's, which blurs and adds noise by what the manifest holds.
        kinds: that the recipe has; others cannot be made again.
    """
    known = set(kinds)
    found = []
    for pair in pairs:
        if pair.row.kind not in known or pair.frames.shape[0] > 1 or min(pair.truth.shape[:2]) <= 2 * RIM:
            continue
        drawn = Drawn(pair.row.kind, pair.row.strength, dict(pair.row.parameters))
        found.append(
            [_residual(pair.before, apply(_bytes(picture), drawn)[0]) for picture in (pair.after, pair.before)]
        )
    if not found:
        return None, None
    restored, unrestored = np.sqrt(np.mean(np.square(found), axis=0))
    return float(restored), float(unrestored)


def examples(pairs: Sequence[Pair], side: int) -> list[Example]:
    """Return the middles of pairs of photographs, at most `side` pixels wide."""
    return [Example(_middle(pair.before, side), _middle(pair.truth, side)) for pair in pairs]


def of_each_stratum(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Return up to `count` pairs of each bin of strength, of as many scenes as there are."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.stratum, []).append(pair)
    chosen = []
    for number, group in enumerate(groups.values()):
        first = number * len(group) // max(len(groups), 1)  # scenes come one after the other
        chosen += (group[first:] + group[:first])[:count]
    return chosen


def _pair(row: PairRow, root: Path, answer: Callable[[str, Batch], Field]) -> Pair:
    blurred, sharp = read_pair(row, root)
    middle = blurred.shape[1] // 2 if sharp.ndim == 5 else 0
    truth = np.ascontiguousarray((sharp[0, middle] if sharp.ndim == 5 else sharp[0]).transpose(1, 2, 0))
    frames = np.ascontiguousarray((blurred[0] if blurred.ndim == 5 else blurred).transpose(0, 2, 3, 1))
    after = answer(row.pair, blurred)
    if after.shape != truth.shape:
        msg = f"pair {row.pair}: its answer is {after.shape}, its truth {truth.shape}; run `unblur evaluate` again"
        raise UnblurError(msg)
    return Pair(row, frames, middle, after, truth)


def _residual(before: Field, again: NDArray[Any]) -> float:
    inner = slice(RIM, -RIM)
    difference = 255 * before[inner, inner] - again[inner, inner].astype(np.float32)
    return float(np.sqrt((difference**2).mean()))


def _bytes(picture: Field) -> NDArray[np.uint8]:
    return np.rint(255 * picture).astype(np.uint8)


def _middle(picture: Field, side: int) -> torch.Tensor:
    top, left = (max((length - side) // 2, 0) for length in picture.shape[:2])
    cut = picture[top : top + side, left : left + side]
    return torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1)))[None]
