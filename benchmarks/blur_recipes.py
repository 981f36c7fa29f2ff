"""Pairs a second of every recipe in conf/blur, and of every kind in it, on one core.

Run `python benchmarks/blur_recipes.py [RECIPE ...] [--side 256] [--seconds 1]`. A pair is drawn, blurred in linear
light, given its noise and rounded to bytes. The best of three runs counts: others may be using the machine.
"""

import argparse
import time

import cv2
import numpy as np
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from unblur.blur.recipe import BlurRecipe, Stratum
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="names in conf/blur; all of them without any")
    parser.add_argument("--side", type=int, default=256, help="of the square photograph in pixels")
    parser.add_argument("--seconds", type=float, default=1.0, help="measuring time of each run")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photo = np.random.default_rng(0).integers(0, 256, (options.side, options.side, 3), dtype=np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 1)
    names = options.recipes or sorted(path.stem for path in (config_dir() / "blur").glob("*.yaml"))
    table = Table("recipe", "kind", "pairs/s", title=f"blur at {options.side} x {options.side}, one core")
    for name in names:
        recipe = instantiate(OmegaConf.load(config_dir() / "blur" / f"{name}.yaml"))
        table.add_row(name, "as weighted", f"{pairs_per_second(recipe, photo, options.seconds):.0f}")
        for kind in recipe.operators if len(recipe.operators) > 1 else ():
            rate = pairs_per_second(recipe, photo, options.seconds, Stratum(kind))
            table.add_row("", kind, f"{rate:.0f}")
    Console().print(table)


def pairs_per_second(recipe: BlurRecipe, photo, seconds: float, stratum: Stratum | None = None) -> float:
    """Return the best of three runs, each of at least `seconds`."""
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds or count < 10:
            recipe.apply(photo, recipe.draw(np.random.default_rng(count), stratum=stratum))
            count += 1
        best = max(best, count / passed)
    return best


if __name__ == "__main__":
    main()
