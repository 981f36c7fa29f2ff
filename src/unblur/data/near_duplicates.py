"""Near-duplicates: pictures that show the same, found by the hash pHash (Zauner 2010).

Two flat pictures can have like hashes by chance, so the small grey versions have to agree too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 32
_LOW = 8
_CHUNK = 1 << 22  # pairs of hashes compared at once: 32 MB


@dataclass(frozen=True)
class Fingerprint:
    """A picture's perceptual hash, 64 bits, and its small grey version (32, 32) float32 in [0, 255]."""

    bits: int
    grey: NDArray[np.float32]


def fingerprint(image: NDArray[np.uint8]) -> Fingerprint:
    """Return the fingerprint of (H, W, 3) uint8 RGB: the signs of the 64 lowest frequencies around their median."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_LOW, :_LOW].ravel()
    low[0] = np.median(low[1:])  # brightness is no content
    signs = low > np.median(low)
    return Fingerprint(int(np.packbits(signs).view(">u8")[0]), small)


def near_duplicates(
    groups: Sequence[str], prints: Sequence[Fingerprint], max_bits: int, min_correlation: float
) -> list[tuple[int, int, int]]:
    """Return (first, second, bits that differ) for near-duplicates in two groups; no picture is first twice.

    Args:
        groups: of each picture, such as its split.
        prints: of each picture.
        max_bits: that may differ, of 64.
        min_correlation: of the small grey versions, at most 1.
    """
    codes = np.array([item.bits for item in prints], dtype=np.uint64)
    places = {group: np.flatnonzero([name == group for name in groups]) for group in dict.fromkeys(groups)}
    names = list(places)
    found: dict[int, tuple[int, int, int]] = {}
    for index, left in enumerate(names):
        for right in names[index + 1 :]:
            new: dict[int, tuple[int, int, int]] = {}
            for first, second, bits in _close(codes, places[left], places[right], max_bits):
                if first in found or first in new:
                    continue
                if _correlation(prints[first].grey, prints[second].grey) >= min_correlation:
                    new[first] = (first, second, bits)
            found |= {pair[0]: pair for pair in sorted(new.values(), key=lambda pair: pair[2])}
    return list(found.values())


def _close(
    codes: NDArray[np.uint64], left: NDArray[np.int64], right: NDArray[np.int64], max_bits: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the pairs that differ in `max_bits` or less: all of one picture in `left` together, the closest first.

    They may be as many as all pairs, and are never in memory together.
    """
    rows = max(1, _CHUNK // max(1, len(right)))
    for start in range(0, len(left), rows):
        part = left[start : start + rows]
        apart = np.bitwise_count(codes[part, None] ^ codes[None, right])
        for row in np.flatnonzero((apart <= max_bits).any(axis=1)):
            for column in np.argsort(apart[row], kind="stable"):
                if apart[row, column] > max_bits:
                    break
                yield int(part[row]), int(right[column]), int(apart[row, column])


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    a, b = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else float(norm == (a * a).sum())
