"""What is counted of a photograph and of the answer to it: a few figures, nothing that tells what is in the picture.

Colours and the change are taken from pixels at even steps, blur and noise from tiles at even steps, of full resolution:
a large photograph costs what half a megapixel does.

- Blur: two bands of the spectrum tell it, as in `explaining/blur_map.py`, here over the picture as a whole: the
  standard deviation of its edges seen through a Gaussian of one pixel, across the direction of most blur. An ideal step
  has 1, one behind a Gaussian of s pixels sqrt(1 + s^2); fine texture has less.
- Noise: J. Immerkaer, Fast noise variance estimation (CVIU 1996), with a median for the mean and the quarter of the
  tiles with the least texture (D. Donoho's MAD).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.explaining.blur_map import BANDS, DIRECTIONS, MOST
from unblur.images.channels import eight_bit

VERSION = "1"
"""Of what the figures mean: raised with every change after which old and new ones cannot be compared."""

TILE = 128  # pixels a side
MOST_TILES = 12
MOST_PIXELS = 1 << 17  # of those at even steps
IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # turns noise of 1 into noise of 6
MAD = 0.6745  # median of |x| of a normal x with standard deviation 1
CLIPPED = 6.0  # steps of 255 from black and white within which noise is cut off
NO_EDGES = 0.02  # energy of edges, squared steps of 255, below which there is no blur to tell
DECIMALS = 3
LEAST_SHARE = 0.05  # of the strongest direction's energy, below which a direction tells nothing: stripes have one
BORDER = 4  # pixels of a tile whose smoothing has seen its edge

Plane = NDArray[np.float32]
Tensor = NDArray[np.float64]
Figures = dict[str, float | None]


@dataclass(frozen=True)
class Statistic:
    """A column: its name, what it is in words with its unit, of which side, and whether drift is judged by it."""

    name: str
    about: str
    side: Literal["input", "output"] = "input"
    category: bool = False
    judged: bool = True


STATISTICS = (
    Statistic("blur", "standard deviation of edges, pixels"),
    Statistic("brightness", "mean luma, 0 to 255"),
    Statistic("contrast", "standard deviation of luma"),
    Statistic("noise", "standard deviation of noise, luma"),
    Statistic("cast_blue", "colour cast, mean Cb"),
    Statistic("cast_red", "colour cast, mean Cr"),
    Statistic("megapixels", "size, megapixels"),
    Statistic("format", "format of the file", category=True),
    Statistic("quality", "quality of JPEG files, 1 to 100"),
    Statistic("change", "mean change of values, 0 to 255", "output"),
    Statistic("gain", "gain of edges' energy, dB", "output"),
    Statistic("guarded", "places that the guard put back", "output", category=True),
    Statistic("strength", "share of the answer, 0 to 1", "output"),
    # The machine's load decides it: shown, no reason to train anew.
    Statistic("milliseconds", "from reading to answer, ms", "output", judged=False),
)


def measure(before: NDArray[Any], after: NDArray[Any] | None = None) -> Figures:
    """Return the figures of a photograph, (H, W, 3) uint8 or uint16, and of the answer to it, of its size and type.

    None is what cannot be told: a flat picture has no blur and no gain, one of under 3 pixels a side no noise. Without
    an answer its figures are left out.
    """
    height, width = before.shape[:2]
    where = places(height, width)
    values, tiles = _even(before), [_luma(before[place]) for place in where]
    mean_red, _, mean_blue = (float(mean[0]) for mean in cv2.meanStdDev(values)[0])
    brightness, contrast = (float(each.item()) for each in cv2.meanStdDev(_luma(values)))
    noise = noise_of(tiles)
    fine = _tensor(tiles, BANDS[0])
    figures: Figures = {
        "blur": _width_of_edges(fine, _tensor(tiles, BANDS[1]), noise or 0.0),
        "brightness": brightness,
        "contrast": contrast,
        "noise": noise,
        "cast_blue": 0.564 * (mean_blue - brightness),
        "cast_red": 0.713 * (mean_red - brightness),
        "megapixels": height * width / 1e6,
    }
    if after is not None:
        energy = float(np.trace(_tensor([_luma(after[place]) for place in where], BANDS[0])))
        had = float(np.trace(fine))
        figures["change"] = float(cv2.absdiff(_even(after), values).mean())
        figures["gain"] = 10 * float(np.log10(max(energy, 1e-6) / had)) if had > NO_EDGES else None
    # Grey pictures have casts of 1e-7 and 0 by turns, which a test of ranks would tell apart.
    return {name: None if value is None else round(value, DECIMALS) + 0.0 for name, value in figures.items()}


def places(height: int, width: int) -> list[tuple[slice, slice]]:
    """Return where the tiles of a picture lie: all of a small one, `MOST_TILES` at most of a large one."""
    if height * width <= MOST_TILES * TILE**2:
        return [(slice(0, height), slice(0, width))]
    rows = int(np.clip(round(np.sqrt(MOST_TILES * height / width)), 1, MOST_TILES))
    columns = MOST_TILES // rows
    tops = np.linspace(0, max(0, height - TILE), rows).astype(int)
    lefts = np.linspace(0, max(0, width - TILE), columns).astype(int)
    return [(slice(top, top + TILE), slice(left, left + TILE)) for top in tops for left in lefts]


def noise_of(tiles: list[Plane]) -> float | None:
    """Return the standard deviation of the noise of luma tiles, in steps of 255; None where none can hold any.

    A single tile is looked at in parts, as the least textured parts tell most.
    """
    parts = [part for tile in tiles for part in _parts(tile)]
    found = [
        _median(np.abs(cv2.filter2D(part, cv2.CV_32F, IMMERKAER)[1:-1, 1:-1])) / (6 * MAD)
        for part in parts
        if min(part.shape) >= 3 and CLIPPED < float(part.mean()) < 255 - CLIPPED
    ]
    return float(np.quantile(found, 0.25)) if found else None


def _width_of_edges(fine: Tensor, coarse: Tensor, noise: float) -> float | None:
    """Return the standard deviation of edges in pixels, with the energy of white noise taken off; None without edges.

    Edges of the variance v have slopes whose energy goes with 1 / sqrt(v) of that variance and the band's together.
    """
    if np.trace(fine) <= NO_EDGES:
        return None
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    along = np.stack([np.cos(angles), np.sin(angles)])  # (2, directions)
    energy = []
    for tensor, sigma in ((fine, BANDS[0]), (coarse, BANDS[1])):
        whole = np.einsum("id,ij,jd->d", along, tensor, along)
        # At least half of it stays: noise that was smoothed or compressed since is less than it would be here.
        energy.append(np.maximum(whole - noise**2 * _of_white_noise(sigma), whole / 2))
    told = energy[1] > LEAST_SHARE * energy[1].max()
    ratio = np.maximum(energy[0][told] / energy[1][told], 1.0001) ** 2
    variance = (BANDS[1] ** 2 - BANDS[0] ** 2) / (ratio - 1)
    return float(np.sqrt(min(float(variance.max()), MOST)))


def _tensor(tiles: list[Plane], sigma: float) -> Tensor:
    """Return (2, 2): the mean products of the tiles' slopes at a scale."""
    found = np.zeros((2, 2))
    for tile in tiles:
        smooth = cv2.GaussianBlur(tile, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        slopes = [cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3, scale=0.125) for order in ((1, 0), (0, 1))]
        if min(tile.shape) > 4 * BORDER:
            slopes = [np.ascontiguousarray(slope[BORDER:-BORDER, BORDER:-BORDER]) for slope in slopes]
        x, y = (slope.ravel() for slope in slopes)
        found += np.array([[x @ x, x @ y], [x @ y, y @ y]], np.float64) / (x.size * len(tiles))
    return found


@cache
def _of_white_noise(sigma: float) -> float:
    """Return the energy of the slope that white noise of variance 1 has at a scale."""
    impulse = np.zeros((65, 65), np.float32)
    impulse[32, 32] = 1
    slope = cv2.Sobel(cv2.GaussianBlur(impulse, (0, 0), sigma), cv2.CV_32F, 1, 0, ksize=3) / 8
    return float(np.square(slope).sum())


def _median(values: Plane) -> float:
    middle = values.size // 2
    return float(np.partition(values.ravel(), middle)[middle])


def _luma(pixels: NDArray[Any]) -> Plane:
    """Return the luma of (H, W, 3), in steps of 255; of floats they are the steps already."""
    values = pixels if pixels.dtype == np.float32 else eight_bit(pixels).astype(np.float32)
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY), np.float32)


def _even(pixels: NDArray[Any]) -> Plane:
    """Return (h, w, 3): pixels at even steps, `MOST_PIXELS` at most."""
    step = max(1, int(np.ceil(np.sqrt(pixels.shape[0] * pixels.shape[1] / MOST_PIXELS))))
    return np.asarray(eight_bit(np.ascontiguousarray(pixels[::step, ::step])), np.float32)


def _parts(tile: Plane) -> Iterator[Plane]:
    """Yield a tile in parts of `TILE` / 2 pixels, smaller ones at its end left out; one that is smaller whole."""
    side = TILE // 2
    if min(tile.shape) <= side:
        yield tile
        return
    for top in range(0, tile.shape[0] - side + 1, side):
        for left in range(0, tile.shape[1] - side + 1, side):
            yield tile[top : top + side, left : left + side]
