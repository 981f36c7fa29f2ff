"""Dead leaves: synthetic photographs of opaque shapes that fall on each other.

Lee, Mumford and Huang 2001 (IJCV 41) show that such pictures share the statistics of natural ones: edges at every
scale, occlusion, a power-law spectrum. Their edges are as sharp as pixels can be, so they tell a network what sharp
means (Achddou et al. 2021; Madhusudana et al. 2022 train restoration networks on them alone).
"""

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Photo = NDArray[np.uint8]

_OVERSAMPLING = 2  # drawn larger and averaged down: edges are those of a sensor's pixels
_AREA_A_LEAF = 256  # pixels of the drawn canvas: about twenty layers deep
_SMALLEST, _LARGEST = 3.0, 130.0  # radii in pixels, density falling with the cube of the radius (Lee et al.)
_SHADING = 0.15  # standard deviation of the light over the picture
_GRAIN = ((1, 2.0), (2, 3.0), (4, 4.0), (16, 5.0))  # texture: size in pixels, 8-bit steps of standard deviation


def dead_leaves(rng: Generator, side: int, palette: Photo) -> Photo:
    """Return a picture (side, side, 3) uint8.

    Half of the leaves are discs, the others polygons and thin ellipses, such as twigs and wires; two fifths of the
    picture have a texture.

    Args:
        rng: decides everything.
        side: in pixels.
        palette: colours (N, 3) to choose from, those of photographs for instance.
    """
    size = side * _OVERSAMPLING
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = palette[rng.integers(len(palette))]
    outside = int(_LARGEST) // 2  # leaves from there reach in
    for _ in range((size + 2 * outside) ** 2 // _AREA_A_LEAF):
        place = rng.uniform(-outside, size + outside, 2)
        colour = tuple(int(value) for value in palette[rng.integers(len(palette))])
        _drop(canvas, rng, place, _OVERSAMPLING * _radius(rng), colour)
    picture = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    picture *= 1 + _SHADING * _noise(rng, side, 6)[..., None]
    textured = cv2.resize((rng.random((4, 4)) < 0.4).astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    grain = sum(strength * _noise(rng, side, max(2, side // step)) for step, strength in _GRAIN)
    picture += (grain * textured * rng.uniform(0.3, 1.0))[..., None]
    result: Photo = np.clip(picture, 0, 255).astype(np.uint8)
    return result


def _radius(rng: Generator) -> float:
    """Draw a radius with a density that falls with its cube."""
    small, large = _SMALLEST**-2, _LARGEST**-2
    return float((large + rng.random() * (small - large)) ** -0.5)


def _drop(canvas: Photo, rng: Generator, place: NDArray[Any], radius: float, colour: tuple[int, ...]) -> None:
    middle, shape = (int(place[0]), int(place[1])), rng.random()
    if shape < 0.5:
        cv2.circle(canvas, middle, int(radius), colour, -1)
    elif shape < 0.8:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        corners = place + (radius * rng.uniform(0.4, 1.5)) * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        cv2.fillPoly(canvas, [corners.astype(np.int32)], colour)
    else:
        axes = int(2 * radius), max(1, int(radius / 4))
        cv2.ellipse(canvas, middle, axes, rng.uniform(0, 180), 0, 360, colour, -1)


def _noise(rng: Generator, side: int, cells: int) -> NDArray[np.float32]:
    """Return smooth noise (side, side) of standard deviation about 1 with so many cells a side."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    smooth: NDArray[np.float32] = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return smooth
