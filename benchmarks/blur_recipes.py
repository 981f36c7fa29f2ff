"""Pairs a second of every recipe in conf/blur at 256 x 256 on one core; `--sheet FILE.png` shows what they make.

python benchmarks/blur_recipes.py PHOTO... [--pairs 60] [--sheet FILE.png]
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.data.images import read_rgb, write_png

SIDE = 256


def main() -> None:
    """Time every recipe on crops of the photographs, margin included, decoding not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photos = [read_rgb(path) for path in options.photos]
    table = Table("recipe", "pairs/s", title=f"{SIDE} x {SIDE} pixels, one core, {options.pairs} pairs")
    rows = []
    for file in sorted((config_dir() / "blur").glob("*.yaml")):
        recipe = instantiate(OmegaConf.load(file))
        spent, shown = 0.0, []
        for index in range(options.pairs):
            rng = np.random.default_rng(index)
            photo = photos[index % len(photos)]
            begun = time.perf_counter()
            drawn = recipe.draw(rng)
            margin = recipe.margin(drawn)
            crop = _crop(photo, SIDE + 2 * margin, rng)
            pair = recipe.apply(crop, drawn, margin)
            spent += time.perf_counter() - begun
            if index < 6:
                shown.append(np.vstack(pair))
        table.add_row(file.stem, f"{options.pairs / spent:.0f}")
        rows.append(np.hstack(shown))
    Console().print(table)
    if options.sheet:
        width = min(row.shape[1] for row in rows)
        write_png(options.sheet, np.ascontiguousarray(np.vstack([row[:, :width] for row in rows])))


def _crop(photo: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    missing = [max(0, side - length) for length in photo.shape[:2]]
    photo = cv2.copyMakeBorder(photo, 0, missing[0], 0, missing[1], cv2.BORDER_REFLECT)
    top, left = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
    return np.ascontiguousarray(photo[top : top + side, left : left + side])


if __name__ == "__main__":
    main()
