"""Sweeps the settings of the classical baselines over the validation pairs: gain in dB over the blurred input.

    unblur prepare && python studies/baseline_settings.py [artifacts/prepared]

The best of each method is what `unblur.evaluation.baselines` uses. The test pairs are not read.
"""

import itertools
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unblur.data.datasets import Pairs
from unblur.data.manifest import read_manifest
from unblur.evaluation.baselines import Batch, richardson_lucy_guessed, unsharp, wiener_guessed
from unblur.metrics.profiles import get_profile

SETTINGS = {
    unsharp: {"radius": (0.7, 1.0, 1.5, 2.0), "amount": (0.1, 0.2, 0.3, 0.5, 1.0)},
    richardson_lucy_guessed: {"sigma": (0.4, 0.5, 0.6, 0.8, 1.2), "iterations": (2, 3, 4, 5, 8)},
    wiener_guessed: {"sigma": (0.3, 0.4, 0.5, 0.6, 0.8, 1.2), "balance": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)},
}


def main(prepared: Path) -> None:
    """Print the settings of each method, best first."""
    pairs = Pairs([row for row in read_manifest(prepared) if row.split == "val"], prepared)
    for method, grid in SETTINGS.items():
        gains = {
            values: gain(partial(method, **dict(zip(grid, values, strict=True))), pairs)
            for values in itertools.product(*grid.values())
        }
        table = Table(*grid, "gain, dB", title=f"{method.__name__}, {len(pairs)} validation pairs")
        for values, mean in sorted(gains.items(), key=lambda item: -item[1])[:5]:
            table.add_row(*map(str, values), f"{mean:+.2f}")
        Console().print(table)


def gain(method: Callable[[Batch], Batch], pairs: Pairs) -> float:
    """Return the mean PSNR (psnr/literature) that the method gains over the blurred input."""
    profile = get_profile("psnr/literature")
    gains = []
    for item in pairs:
        blur, sharp = item["blur"][None], item["sharp"][None]
        restored = torch.from_numpy(method(blur.numpy()))
        gains.append(float(profile.compute(restored, sharp) - profile.compute(blur, sharp)))
    return float(np.mean(gains))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "artifacts/prepared"))
