"""How much of the restoration a photograph gets: a fixed share in linear light, or by region what helps there.

`auto` keeps the input where a network has nothing to give. It looks at regions of 64 pixels, at the energy of edges in
four directions, at a fine scale (a Gaussian of one pixel, under which noise hardly shows) and at twice that. The
sharpness of a direction is the share of its energy that the coarser scale lacks: 0.6 and more in sharp photographs, 0.2
to 0.5 in blurred ones.

- No gain: in no direction do the answer's edges have clearly more energy than the input's. On real and synthetic pairs
  MAXIM won at least 1.4 times the energy where it gained, at most 1.3 times where it only harmed.
- Sharp already: the most blurred direction is sharp. Shake and moving objects leave the edges along their path sharp,
  so one sharp direction is no proof.
- Intended bokeh: blurred alike in all directions, in a picture that is sharp elsewhere. Where nothing is sharp the
  focus missed, and all of it is restored.

Regions without edges go with those around them, and the map is smooth. Where most of a photograph gains, all of it is
restored: what is left over are regions with few edges, and of real blurred frames 0.1 to 0.4 dB lay there.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.blur.light import to_linear, to_srgb, to_srgb8

REGION = 64
"""Side of a region in pixels; regions overlap by half."""

SHARP = 0.57  # sharpness from which on nothing is to gain
EVEN = 0.7  # least over most sharpness of the directions: from here on blur has no direction
IN_FOCUS = 0.08  # share of the regions with edges that must be sharp for the rest to be bokeh
GAIN = 1.4  # energy of the answer's edges over that of the input's
MOST = 0.75  # share of the photograph that gains, from which on all of it is restored
EDGES = 4.0  # energy of a region's edges, in squared steps of 255, below which it has none

NOTHING_TO_GAIN = "nothing to gain: stays as it is"

_ROWS = 512  # rows that are blended at a time
_DIRECTIONS = ((1, 0), (1, 1), (0, 1), (-1, 1))  # (x, y)

Pixels = NDArray[Any]  # (H, W, 3) uint8, uint16, or float32 in [0, 1]
Map = NDArray[np.float32]


def blend(before: Pixels, after: Pixels, strength: float | Map) -> Pixels:
    """Return the mean of input and answer in linear light, of their type.

    `strength` is the answer's share, in [0, 1]: one, or one a pixel, (H, W). At 0 and 1 values stay as they are.
    """
    share = np.broadcast_to(np.float32(strength), before.shape[:2])
    if (share == 1).all():
        return after
    result = np.empty_like(before)
    for top in range(0, len(before), _ROWS):
        rows = slice(top, top + _ROWS)
        weight = share[rows, :, None]
        dark, light = (_linear(image[rows]) for image in (before, after))
        mixed = _as_before(dark + weight * (light - dark), before.dtype)
        result[rows] = np.where(weight == 0, before[rows], np.where(weight == 1, after[rows], mixed))
    return result


def _linear(pixels: Pixels) -> Map:
    if pixels.dtype in (np.uint8, np.float32):
        return to_linear(pixels)
    return to_linear((pixels / np.float32(65535)).astype(np.float32))


def _as_before(linear: Map, dtype: np.dtype[Any]) -> Pixels:
    if dtype == np.uint8:
        return to_srgb8(linear)
    values = to_srgb(linear)
    return values if dtype == np.float32 else np.rint(values * 65535).astype(np.uint16)


def useful(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Map:
    """Return the share of the answer that each pixel should get, (H, W) in [0, 1]; all 0 where nothing is to gain.

    Both are (H, W, 3) uint8.
    """
    height, width = before.shape[:2]
    fine, coarse = _energy(before, 1.0), _energy(before, 2.0)
    with_edges = fine.mean(axis=0) > EDGES
    sharp = _sharpness(fine, coarse).min(axis=0) > SHARP
    # Over more than a region, as few edges tell a blur's direction badly.
    around = _sharpness(*(np.stack([cv2.GaussianBlur(each, (0, 0), 1.0) for each in all_]) for all_ in (fine, coarse)))
    in_focus = (sharp & with_edges).sum() > IN_FOCUS * with_edges.sum()
    bokeh = in_focus & (around.min(axis=0) > EVEN * around.max(axis=0))
    gained = (_energy(after, 1.0) > GAIN * fine).any(axis=0)
    wanted = (with_edges & gained & ~sharp & ~bokeh).astype(np.float32)
    if not wanted.any():
        return np.zeros((height, width), np.float32)
    # Weighted by where there are edges, so that flat regions take over what is decided beside them.
    weight = with_edges.astype(np.float32)
    near, total = (cv2.GaussianBlur(each, (0, 0), 1.0) for each in (wanted * weight, weight))
    regions = np.clip(1.25 * near / np.maximum(total, 1e-3) - 0.125, 0, 1).astype(np.float32)
    share: Map = cv2.resize(regions, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ones_like(share) if share.mean() > MOST else share


def _sharpness(fine: Map, coarse: Map) -> Map:
    return (1 - coarse / np.maximum(fine, 1e-3)).astype(np.float32)


def _energy(image: NDArray[np.uint8], sigma: float) -> Map:
    """Return the energy of each region's edges at a scale, in each direction: (4, rows, columns), at every half region.

    It goes in bands, so that a large photograph does not stand in memory as floats.
    """
    band = 8 * REGION
    bands = []
    for top in range(0, max(1, len(image) - REGION // 2), band):
        rows = image[top : top + band if top + band < len(image) - REGION // 2 else len(image)]
        grey = cv2.GaussianBlur(cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), sigma)
        size = max(1, round(2 * grey.shape[1] / REGION)), max(1, round(2 * len(grey) / REGION))
        squares = (np.square(_difference(grey, x, y)) for x, y in _DIRECTIONS)
        bands.append(np.stack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in squares]))
    halves = np.concatenate(bands, axis=1)
    return np.stack([cv2.blur(each, (2, 2)) for each in halves]).astype(np.float32)


def _difference(grey: Map, x: int, y: int) -> Map:
    height, width = grey.shape
    moved = cv2.warpAffine(
        grey,
        np.array([[1, 0, x], [0, 1, y]], np.float32),
        (width, height),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )
    difference: Map = grey - moved.astype(np.float32, copy=False)
    return difference
