"""The three plain sentences that an explanation begins with: where it was blurred, what counted, where not to trust."""

import numpy as np
from numpy.typing import NDArray

from unblur.explaining.blur_map import BlurMap
from unblur.explaining.region import Region

ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "", "right")
TENTHS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
AGREED = 0.35  # of the directions: less is no direction of its own
HARDLY = 1.5  # pixels: less is no blur that anyone sees
UNSEEN = 0.5 / 255  # of white: less is no change of a picture of 8 bits


def where_blurred(what: str, blur: BlurMap, corrected: BlurMap) -> str:
    """Return the sentence about the blur of `what`, such as "photograph", and of what the model took it for."""
    seen = f"the model undid about {corrected.typical:.1f} pixels of it"
    if blur.typical < HARDLY:
        return f"The {what} is hardly blurred, by about {blur.typical:.1f} pixels; {seen}."
    place = strongest_place(blur.extent * (blur.weight > np.quantile(blur.weight, 0.3)))
    angle, agreement = blur.main_direction
    along = f", mostly {_direction(angle)}" if agreement > AGREED else ", in no one direction"
    return f"The {what} is blurred by about {blur.typical:.0f} pixels{along}, most of it {place}; {seen}."


def what_counted(title: str, attribution: NDArray[np.float64], region: Region, corrected: float) -> str:
    """Return the sentence about a map (K, h, w): the region's own share, and how far the rest reaches.

    `corrected` is by how much a pixel of the region was changed at most, in units of white.
    """
    weight = np.abs(attribution.sum(axis=0))
    total = float(weight.sum())
    if corrected < UNSEEN or total == 0:
        return "The model corrects nothing in the marked region that 8 bits could show, so there is nothing to lean on."
    own = float(weight[region.rows, region.columns].sum()) / total
    away = distance(weight.shape, region)
    order = np.argsort(away.ravel(), kind="stable")
    held = np.cumsum(weight.ravel()[order]) / total
    reach = float(away.ravel()[order[int(np.searchsorted(held, 0.9))]])
    return (
        f"To sharpen the marked region the model leaned for {100 * own:.0f} % on the region itself; nine tenths of all "
        f"that counted lie within {reach:.0f} pixels of it ({title})."
    )


def where_not_to_trust(
    what: str,
    spread: NDArray[np.float32],
    invented: NDArray[np.float32],
    bound: NDArray[np.float32] | None,
    level: float,
) -> str:
    """Return the sentence about doubt of `what`: spread of turned answers, invented share, bound, each (H, W).

    Spread and bound are of what lies around the region; `level` is the share of pixels whose error lies below the
    bound.
    """
    least = f"Around the marked region trust it least {strongest_place(spread if bound is None else bound)}"
    worst = 255 * float(np.quantile(spread, 0.999))
    drawn = f"answers to turned copies of the {what} differ by up to {worst:.1f} of 255 steps"
    made_up = f"{100 * float(invented.mean()):.1f} % of the detail is invented, not in the {what}"
    if bound is None:
        return f"{least}, where {drawn}; {made_up}."
    high = 255 * float(np.median(bound[bound >= np.quantile(bound, 0.9)]))
    middle = 255 * float(np.median(bound))
    promise = f"errors, for {of_pixels(level)} pixels, stay below {middle:.0f} steps at the median"
    return f"{least}: {promise}, and below {high:.0f} in the worst tenth; {drawn}; {made_up}."


def of_pixels(level: float) -> str:
    """Return a share in words: 0.9 is nine of ten, 0.95 is 95 of 100, 0.999 is 999 of 1000."""
    whole = next((of for of in (10, 100, 1000) if abs(level * of - round(level * of)) < 1e-6), 100)
    return f"{TENTHS[round(10 * level)]} of ten" if whole == 10 else f"{level * whole:.6g} of {whole}"


def strongest_place(values: NDArray[np.float32]) -> str:
    """Return in words in which ninth of a map (H, W) its mean is largest."""
    height, width = values.shape
    means = [
        [float(values[i * height // 3 : (i + 1) * height // 3, j * width // 3 : (j + 1) * width // 3].mean())
         for j in range(3)]
        for i in range(3)
    ]  # fmt: skip
    row, column = divmod(int(np.argmax(means)), 3)
    if row == 1:
        return f"at the {COLUMNS[column]}" if column != 1 else "in the middle"
    return f"in the {ROWS[row]} {COLUMNS[column] or 'middle'}"


def distance(shape: tuple[int, ...], region: Region) -> NDArray[np.float64]:
    """Return (h, w): how many pixels a place lies outside the region, 0 in it."""
    y, x = (np.arange(side) for side in shape)
    down = np.maximum(np.maximum(region.top - y, y - (region.top + region.size - 1)), 0)
    right = np.maximum(np.maximum(region.left - x, x - (region.left + region.size - 1)), 0)
    return np.hypot(down[:, None], right[None])


def _direction(angle: float) -> str:
    if angle < 22.5 or angle >= 157.5:
        return "horizontally"
    if angle < 67.5:
        return "from the upper left to the lower right"
    return "vertically" if angle < 112.5 else "from the lower left to the upper right"
