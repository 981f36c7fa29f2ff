"""Measures whether bounds on errors hold in every stratum, where there are many photographs.

The pairs of some photographs set the bounds, those of the others are held to them, for many random draws; half of the
photographs, or as many as `--setting` says:

    unblur data free
    unblur prepare data=free blur=starter "data.pairs_per_photo={val: 6, test: 6}" "data.max_side={val: 320, test: 320}"
    python studies/coverage.py artifacts/prepared artifacts/train/model

Or holds test pairs to the bounds of the pipeline, `--calibration`, where it has more of each scene than the pipeline:

    unblur prepare experiment=starter paths.prepared=more "data.pairs_per_photo={val: 1, test: 24}"
    python studies/coverage.py more artifacts/train/model --calibration artifacts/explain/calibration.json
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.console import tracker
from unblur.data.manifest import read_manifest
from unblur.evaluation.strata import NEARLY_SHARP, STRENGTH_BINS
from unblur.explaining.conformal import calibrate, coverage, error_of
from unblur.explaining.pairs import Pair, answered, covered
from unblur.explaining.source import read_calibration
from unblur.runtimes.pytorch import TorchRestorer

PIXELS = 2000  # of a pair, to calibrate by


@dataclass(frozen=True)
class Seen:
    """A pair as the bounds see it: signs and traits, and what they are to bound."""

    photo: str
    stratum: str
    signs: NDArray[np.float32]
    traits: NDArray[np.float64]
    error: NDArray[np.float32]


def seen(pair: Pair) -> Seen:
    """Return what is seen of a pair."""
    return Seen(pair.row.source, pair.stratum, pair.signs, pair.traits, error_of(pair.after, pair.truth))


def drawn(
    pairs: Sequence[Seen], setting: int, level: float, seed: int, *, grouped: bool = True
) -> dict[str, tuple[float, float]]:
    """Return what the bounds of some photographs reach on the others, and the bounds' median, by stratum.

    Args:
        pairs: of all photographs.
        setting: how many photographs, drawn at random, set the bounds.
        level: share of pixels below their bound.
        seed: of the draw.
        grouped: False takes nearly sharp pairs for no kind of their own.
    """
    photos = np.random.default_rng(seed).permutation(sorted({pair.photo for pair in pairs}))
    chosen = set(photos[:setting])
    known = [pair for pair in pairs if pair.photo in chosen]
    calibration = calibrate(
        [pair.signs for pair in known],
        [pair.error for pair in known],
        [pair.photo for pair in known],
        [pair.traits for pair in known],
        [grouped and pair.stratum == NEARLY_SHARP for pair in known],
        model_sha256="",
        level=level,
        pixels=PIXELS,
        seed=seed,
    )
    reached: dict[str, list[tuple[float, float]]] = {}
    for pair in pairs:
        if pair.photo not in chosen:
            bound = calibration.bound(pair.signs, pair.traits)
            figures = coverage(bound, pair.error), 255 * float(np.median(bound))
            for name in ("all", pair.stratum):
                reached.setdefault(name, []).append(figures)
    return {name: tuple(np.mean(figures, axis=0)) for name, figures in reached.items()}


def show(pairs: Sequence[Seen], setting: int, level: float, repeats: int) -> None:
    """Print mean and standard deviation over the draws, by stratum."""
    photos = len({pair.photo for pair in pairs})
    print(f"{len(pairs)} pairs of {photos} photographs, {setting} set the bounds, {repeats} draws, {level:.0%} asked")
    for grouped in (False, True):
        found = [drawn(pairs, setting, level, seed, grouped=grouped) for seed in range(repeats)]
        print("one factor" if not grouped else "a factor for nearly sharp, one for blurred")
        for name in ("all", *STRENGTH_BINS):
            figures = np.array([each[name] for each in found if name in each])
            if len(figures):
                mean, spread = 100 * figures[:, 0].mean(), 100 * figures[:, 0].std(ddof=1)
                print(f"  {name:14} {mean:5.1f} % (sd {spread:.1f}), median bound {figures[:, 1].mean():.1f} of 255")


def main() -> None:
    """Answer the pairs, then draw photographs again and again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path, help="what `unblur prepare` wrote")
    parser.add_argument("model", type=Path, help="a folder with model.safetensors")
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--setting", type=int, help="photographs that set the bounds; half of them without it")
    parser.add_argument("--calibration", type=Path, help="what `unblur explain-pairs` wrote")
    options = parser.parse_args()
    restorer = TorchRestorer(options.model)
    if options.calibration:
        rows = [row for row in read_manifest(options.prepared) if row.split == "test"]
        pairs = answered(restorer, rows, options.prepared, tracker("test"))
        for row in covered(read_calibration(options.calibration, restorer.sha256), pairs):
            reached = f"{row.reached:6.1%}, 95 % interval {row.low:.1%} to {row.high:.1%}"
            print(f"{row.stratum:14} {row.pairs:4} pairs of {row.scenes:2} scenes {reached}")
        return
    rows = read_manifest(options.prepared)
    photos = len({row.source for row in rows})
    setting = photos // 2 if options.setting is None else options.setting
    if not 1 <= setting < photos or options.repeats < 2:
        parser.error(f"expected --setting from 1 to {photos - 1}, and --repeats of 2 or more")
    show(
        [seen(answered(restorer, [row], options.prepared)[0]) for row in rows],
        setting,
        options.level,
        options.repeats,
    )


if __name__ == "__main__":
    main()
