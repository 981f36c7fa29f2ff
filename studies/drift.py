"""How often `unblur drift` finds a change within 200 photographs, and how often it finds one where there is none.

    python studies/drift.py --data data [--windows 500] [--changed 100] [--size 200] [--seed 0] [--keep FOLDER]

Photographs are crops of 128 pixels of the starter dataset (`unblur data starter`), blurred and sensed by the recipe
`starter` and saved as JPEG of quality 80 to 95; each is a function of the seed, its window and its number. Windows and
the reference are drawn from the same photographs, and no crop with its blur is drawn twice. In `series`, five
photographs that follow each other are of one place and one blur, moved by up to 16 pixels, in the reference too.
`--keep` keeps the statistics there, so that other bounds can be tried at once.
"""

import argparse
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import beta

from unblur.blur.light import to_linear, to_srgb8
from unblur.blur.recipe import Recipe
from unblur.config.compose import compose
from unblur.config.instantiate import instantiate
from unblur.data.images import read_rgb
from unblur.data.manifest import read_sources
from unblur.drift.columns import read_rows, write_rows
from unblur.drift.compare import ALPHA, LEAST_PSI, Comparison, compare
from unblur.drift.jpeg import nearest_quality
from unblur.drift.statistics import measure
from unblur.drift.window import Window

SIDE = 128
AROUND = 16  # pixels that a series moves by
SERIES = 5
REFERENCE = 2000
REFERENCES = 5  # that windows are compared with in turn: chance in one would show in all of them
Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, Generator], Pixels]


def light(stops: float, red: float = 1.0, blue: float = 1.0, noise: float = 0.0) -> Change:
    """Return another camera: so many stops more light, gains of red and blue, and noise in steps of 255."""

    def change(pixels: Pixels, rng: Generator) -> Pixels:
        linear = to_linear(pixels) * np.float32(2.0**stops) * np.array([red, 1, blue], np.float32)
        values = to_srgb8(np.clip(linear, 0, 1)).astype(np.float32)
        return np.clip(np.rint(values + rng.normal(0, noise, values.shape)), 0, 255).astype(np.uint8)

    return change


def same(pixels: Pixels, rng: Generator) -> Pixels:
    return pixels


# name -> (recipe, what happens to the blurred picture, quality of the JPEG)
CHANGES: dict[str, tuple[str, Change, tuple[int, int]]] = {
    "none": ("starter", same, (80, 95)),
    "darker by 1 stop": ("starter", light(-1), (80, 95)),
    "darker by 1/2 stop": ("starter", light(-0.5), (80, 95)),
    "blurrier: recipe camera_shake": ("camera_shake", same, (80, 95)),
    "camera: red +15 %, blue -10 %, noise of 4 steps": ("starter", light(0, 1.15, 0.9, 4.0), (80, 95)),
    "camera: red +15 %, blue -10 %": ("starter", light(0, 1.15, 0.9), (80, 95)),
    "camera: noise of 2 steps": ("starter", light(0, noise=2.0), (80, 95)),
    "JPEG quality 60 to 75": ("starter", same, (60, 75)),
    "JPEG quality 75 to 90": ("starter", same, (75, 90)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--windows", type=int, default=500, help="without change")
    parser.add_argument("--changed", type=int, default=100, help="windows of each change, and of series")
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    photos = [read_rgb(options.data / source.file) for source in read_sources(options.data)]
    recipes = {name: instantiate(compose([f"blur={name}"]).blur) for name in ("starter", "camera_shake")}
    folder = options.keep or Path(tempfile.mkdtemp())
    start = time.perf_counter()

    def window(name: str, number: int, change: str, size: int, series: int = 1) -> Window:
        path = folder / f"{options.seed}-{name}-{number}-{size}.parquet"
        if not path.is_file():
            draw = Draw(photos, recipes, change, series)
            identity = [options.seed, *name.encode(), number]
            shots = ((np.random.default_rng([*identity, index // series]), index % series) for index in range(size))
            write_rows(path, [draw(*shot) for shot in shots])
        return Window(name, read_rows(path))

    table = Table("change", "windows", "found", "95 % interval", "by")
    references = [window("reference", number, "none", REFERENCE) for number in track(range(REFERENCES), "references")]
    for index, change in enumerate(CHANGES):
        count = options.changed if index else options.windows
        windows = [window(f"change{index}", number, change, options.size) for number in track(range(count), change)]
        found = [compare(each, references[number % REFERENCES]) for number, each in enumerate(windows)]
        table.add_row(change, *shown(found))
    reference = window("series", 0, "none", REFERENCE, SERIES)
    windows = [
        window("series", 1 + number, "none", options.size, SERIES) for number in track(range(options.changed), "series")
    ]
    table.add_row("none, in series of 5", *shown([compare(each, reference) for each in windows]))
    with patch("unblur.drift.compare.independent", len):
        found = [compare(each, reference) for each in windows]
    table.add_row("... counted as if independent", *shown(found))
    console = Console(width=140)
    console.print(table)
    console.print(f"alpha {ALPHA}, PSI at least {LEAST_PSI}; {time.perf_counter() - start:.0f} s", highlight=False)


class Draw:
    """Draws photographs as their statistics."""

    def __init__(self, photos: list[Pixels], recipes: dict[str, Recipe], change: str, series: int) -> None:
        self.photos = photos
        recipe, self.change, self.quality = CHANGES[change]
        self.recipe = recipes[recipe]
        self.series = series

    def __call__(self, rng: Generator, shot: int) -> dict[str, object]:
        """Return a row; shots of a series are given the same state of the generator."""
        photo = self.photos[rng.integers(len(self.photos))]
        drawn = self.recipe.draw(rng)
        margin = self.recipe.margin(drawn)
        side = SIDE + 2 * AROUND + 2 * margin
        top, left = (int(rng.integers(max(1, size - side + 1))) for size in photo.shape[:2])
        own = np.random.default_rng(rng.integers(1 << 62) + shot)
        if self.series > 1:
            top, left = top + int(own.integers(2 * AROUND)), left + int(own.integers(2 * AROUND))
        reach = SIDE + 2 * margin
        crop = np.ascontiguousarray(photo[top : top + reach, left : left + reach])
        blurred = self.change(self.recipe.apply(crop, drawn, margin)[0], own)
        stream = io.BytesIO()
        Image.fromarray(blurred).save(stream, "JPEG", quality=int(own.integers(self.quality[0], self.quality[1] + 1)))
        with Image.open(stream) as saved:
            quality = nearest_quality(saved.quantization[0])
            return {**measure(np.asarray(saved)), "format": "JPEG", "quality": quality}


def shown(found: list[tuple[Comparison, ...]]) -> list[str]:
    """Say how many windows have drifted, with the exact interval of a binomial share, and by which statistics."""
    hits, count = sum(any(each.drifted for each in window) for window in found), len(found)
    low = beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, count - hits) if hits < count else 1.0
    by = Counter(each.name for window in found for each in window if each.drifted)
    names = ", ".join(f"{name} {times}" for name, times in by.most_common(4))
    return [str(count), f"{hits} ({hits / count:.1%})", f"{low:.1%} to {high:.1%}", names]


if __name__ == "__main__":
    main()
