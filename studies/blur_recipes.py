"""Pairs a second of every recipe in conf/blur, and of every kind in it, on one core.

Run `python studies/blur_recipes.py [RECIPE ...] [--side 256] [--seconds 1]`. A pair is drawn, blurred in linear
light, given its noise and rounded to bytes. The processor's time is counted, and the best of three runs: others may
be using the machine. Of videos and bursts the frames are counted. `unblur data sheet` shows what recipes look like.
"""

import argparse
import time

import cv2
import numpy as np
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from unblur.blur.recipe import BlurRecipe, Stratum
from unblur.blur.sequence import BurstRecipe, VideoRecipe
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate

Recipe = BlurRecipe | VideoRecipe | BurstRecipe
FRAMES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="names in conf/blur; all of them without any")
    parser.add_argument("--side", type=int, default=256, help="of the square photograph in pixels")
    parser.add_argument("--seconds", type=float, default=1.0, help="measuring time of each run")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    names = options.recipes or sorted(path.stem for path in (config_dir() / "blur").glob("*.yaml"))
    recipes = {name: load(name) for name in names}
    photo = np.random.default_rng(0).integers(0, 256, (options.side, options.side, 3), dtype=np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 1)
    table = Table("recipe", "kind", "pairs/s", title=f"blur at {options.side} x {options.side}, one core")
    for name, recipe in recipes.items():
        table.add_row(name, "as weighted", f"{pairs_per_second(recipe, photo, options.seconds):.0f}")
        kinds = recipe.operators if isinstance(recipe, BlurRecipe) and len(recipe.operators) > 1 else ()
        for kind in kinds:
            rate = pairs_per_second(recipe, photo, options.seconds, Stratum(kind))
            table.add_row("", kind, f"{rate:.0f}")
    Console().print(table)


def load(name: str) -> Recipe:
    """Return the recipe of this name in conf/blur; videos and bursts of eight frames."""
    config = OmegaConf.load(config_dir() / "blur" / f"{name}.yaml")
    return instantiate(OmegaConf.merge({"data": {"frames": FRAMES}}, {"blur": config}).blur)


def pairs_per_second(recipe: Recipe, photo, seconds: float, stratum: Stratum | None = None) -> float:
    """Return the best of three runs, each of at least `seconds`."""
    best = 0.0
    for _ in range(3):
        count, start = 0, time.process_time()
        while (passed := time.process_time() - start) < seconds or count < 10:
            drawn = recipe.draw(np.random.default_rng(count), stratum=stratum)
            recipe.apply(photo, drawn)
            count += int(drawn.parameters.get("frames", 1))
        best = max(best, count / passed)
    return best


if __name__ == "__main__":
    main()
