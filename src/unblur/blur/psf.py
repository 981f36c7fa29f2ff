"""Point-spread functions: how the light of one point is spread over pixels, with energy 1 and centred on its mass."""

import numpy as np
from numpy.typing import NDArray

PSF = NDArray[np.float32]
"""(K, K) with K odd: non-negative, sum 1, centre of mass on the middle pixel."""

_DIRECTIONS = np.exp(1j * np.linspace(0, np.pi, 36, endpoint=False))


def splat(points: NDArray[np.complex128]) -> PSF:
    """Return the PSF of a light point that visits `points` (N,) for equal times, x + iy in pixels.

    Each visit is shared bilinearly by the four pixels around it, which keeps the centre of mass exactly; that centre is
    put on the middle pixel, so that blurring moves nothing and the sharp photo stays the truth.
    """
    centred = points - points.mean()
    half = int(max(np.abs(centred.real).max(), np.abs(centred.imag).max())) + 1
    side = 2 * half + 1
    x, y = np.floor(centred.real), np.floor(centred.imag)
    right, down = centred.real - x, centred.imag - y
    corner = ((y + half) * side + (x + half)).astype(np.int64)
    cells = np.concatenate([corner, corner + 1, corner + side, corner + side + 1])
    weights = np.concatenate([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    light = np.bincount(cells, weights, minlength=side * side)
    psf: PSF = (light / light.sum()).reshape(side, side).astype(np.float32)
    return psf


def diameter(points: NDArray[np.complex128]) -> float:
    """Return the largest width of a set of points (N,) over all directions, to 0.1 %, in their own unit."""
    along = np.real(np.multiply.outer(_DIRECTIONS.conj(), points))  # (36, N): each point's place in each direction
    return float(np.ptp(along, axis=1).max())


def extent(psf: PSF, floor: float = 0.01) -> float:
    """Return the largest distance in pixels between pixels that hold more than `floor` of the PSF's maximum.

    As light falls on whole pixels, this is up to two pixels more than the path or aperture behind it.
    """
    y, x = np.nonzero(psf > floor * psf.max())
    return diameter(x + 1j * y)
