"""How often a model's answers break the guard's bounds on inputs of all kinds, before the guard and after it.

    python studies/guard.py --model MODEL [--count 300] [--seed 0] [--threads 1]

Inputs are generated: screenshots, text, line art, night with lights, noise, grey, saturated colours, one-pixel
patterns, gradients, shapes, and `broken`: shapes whose answer is spoilt here by a colour cast, a mosaic, ringing or
NaN, so that something is there to be found with a sound model too. Sides are 128 to 256 pixels; every other one is
blurred.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from unblur.runtimes.guard import find_broken, mend
from unblur.runtimes.restorer import load_restorer

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    restorer = load_restorer(options.model, options.threads)
    inputs, unguarded, guarded = Counter[str](), Counter[str](), Counter[str]()
    changed, kinds, seconds = 0, Counter[str](), 0.0
    for index in track(range(options.count), "inputs"):
        rng = np.random.default_rng((options.seed, index))
        name = list(MAKERS)[index % len(MAKERS)]
        before = blurred(MAKERS[name](rng, *rng.integers(128, 257, 2)), rng)
        planes = before.astype(np.float32) / 255
        answer = restorer(np.ascontiguousarray(planes.transpose(2, 0, 1)[None]))[0].transpose(1, 2, 0)
        if name == "broken":
            answer = spoilt(answer, rng)
        start = time.perf_counter()
        mended, places = mend(planes, answer)
        seconds += time.perf_counter() - start
        left = find_broken(before, np.rint(np.clip(mended, 0, 1) * 255).astype(np.uint8))
        inputs[name] += 1
        unguarded[name] += bool(places)
        guarded[name] += bool(left)
        kinds.update(kind for place in places for kind in place.kinds)
        changed += not places and mended is not answer
    table = Table("inputs", "count", "broken before", "broken after")
    for name, count in inputs.items():
        table.add_row(name, str(count), str(unguarded[name]), str(guarded[name]))
    table.add_row("all", str(options.count), str(unguarded.total()), str(guarded.total()), style="bold")
    console = Console()
    console.print(table)
    console.print(", ".join(f"{kind}: {count}" for kind, count in kinds.items()) or "no places", highlight=False)
    console.print(f"sound answers that were changed: {changed}; {1e3 * seconds / options.count:.1f} ms each")


def screenshot(rng: Generator, height: int, width: int) -> Pixels:
    image = np.full((height, width, 3), rng.choice([24, 240, 255]), np.uint8)
    for _ in range(8):
        x, y, w, h = (int(side) for side in rng.integers(4, min(height, width), 4))
        cv2.rectangle(image, (x, y), (x + w, y + h), _colour(rng), int(rng.choice([-1, 1])))
        cv2.putText(image, "File Edit 123", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.35, _colour(rng), 1, cv2.LINE_AA)
    return image


def text(rng: Generator, height: int, width: int) -> Pixels:
    ink, paper = ((0, 0, 0), 255) if rng.random() < 0.7 else (_colour(rng), int(rng.integers(256)))
    image = np.full((height, width, 3), paper, np.uint8)
    for y in range(12, height, int(rng.integers(10, 24))):
        line = "".join(chr(letter) for letter in rng.integers(33, 123, 40))
        cv2.putText(image, line, (2, y), cv2.FONT_HERSHEY_PLAIN, rng.uniform(0.6, 1.3), ink, 1, cv2.LINE_AA)
    return image


def line_art(rng: Generator, height: int, width: int) -> Pixels:
    image = np.full((height, width, 3), 255, np.uint8)
    for _ in range(30):
        ends = [(int(rng.integers(width)), int(rng.integers(height))) for _ in range(2)]
        cv2.line(image, *ends, (0, 0, 0), int(rng.integers(1, 3)), cv2.LINE_AA)
    return image


def night(rng: Generator, height: int, width: int) -> Pixels:
    image = np.maximum(rng.normal(8, 4, (height, width, 3)), 0).astype(np.uint8)
    for _ in range(15):
        place = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(image, place, int(rng.integers(1, 5)), tuple(int(c) for c in rng.integers(150, 256, 3)), -1)
    return image


def noise(rng: Generator, height: int, width: int) -> Pixels:
    sigma = rng.uniform(5, 90)
    return np.clip(rng.normal(rng.uniform(0, 255), sigma, (height, width, 3)), 0, 255).astype(np.uint8)


def grey(rng: Generator, height: int, width: int) -> Pixels:
    if rng.random() < 0.3:
        return np.full((height, width, 3), rng.integers(256), np.uint8)
    return np.repeat(cv2.cvtColor(shapes(rng, height, width), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def saturated(rng: Generator, height: int, width: int) -> Pixels:
    return np.where(shapes(rng, height, width) > 127, 255, 0).astype(np.uint8)


def one_pixel(rng: Generator, height: int, width: int) -> Pixels:
    y, x = np.mgrid[:height, :width]
    pattern = [x % 2, y % 2, (x + y) % 2, (x % 2) * (y % 2), x % 3 == 0, (x + 2 * y) % 5 == 0][int(rng.integers(6))]
    colours = rng.integers(0, 256, (2, 3)) if rng.random() < 0.6 else np.array([[0] * 3, [255] * 3])
    return colours[pattern.astype(int)].astype(np.uint8)


def gradient(rng: Generator, height: int, width: int) -> Pixels:
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    corners = rng.uniform(0, 255, (3, 3))
    return (corners[0] + (corners[1] - corners[0]) * x[..., None] * y[..., None]).clip(0, 255).astype(np.uint8)


def shapes(rng: Generator, height: int, width: int) -> Pixels:
    image = np.full((height, width, 3), rng.integers(256, size=3), np.uint8)
    for _ in range(20):
        place = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(image, place, int(rng.integers(3, 50)), _colour(rng), int(rng.choice([-1, 2])), cv2.LINE_AA)
    return np.clip(image + rng.normal(0, rng.uniform(0, 6), image.shape), 0, 255).astype(np.uint8)


MAKERS: dict[str, Callable[[Generator, int, int], Pixels]] = {
    "screenshot": screenshot,
    "text": text,
    "line art": line_art,
    "night": night,
    "noise": noise,
    "grey": grey,
    "saturated": saturated,
    "one pixel": one_pixel,
    "gradient": gradient,
    "shapes": shapes,
    "broken": shapes,
}


def blurred(image: Pixels, rng: Generator) -> Pixels:
    """Return every other image blurred, by a line or a Gaussian."""
    if rng.random() < 0.5:
        return image
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 4)).astype(np.uint8)
    kernel = np.zeros((31, 31), np.float32)
    ends = [(int(rng.integers(8, 23)), int(rng.integers(8, 23))) for _ in range(2)]
    cv2.line(kernel, *ends, 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum()).astype(np.uint8)


def spoilt(answer: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Break a square of 32 to 64 pixels, or all of it."""
    answer, side = answer.copy(), int(rng.choice([32, 64, 1000]))
    y, x = (int(rng.integers(length - 31)) for length in answer.shape[:2])
    place = answer[y : y + side, x : x + side]
    kind = int(rng.integers(4))
    if kind == 0:
        place += rng.choice([-1, 1], 3) * rng.uniform(0.1, 0.4, 3)
    elif kind == 1:
        place += rng.normal(0, 0.3, place.shape)
    elif kind == 2:
        place += 0.6 * np.sin(np.arange(place.shape[1]) * rng.uniform(0.5, 2))[:, None]
    else:
        place[:] = rng.choice([np.nan, np.inf, -np.inf])
    return answer


def _colour(rng: Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


if __name__ == "__main__":
    main()
