"""Whether a sequence's frames are in order: from a frame to the next less changes than to the one after that."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NOISE = 1.0  # mean difference in 8-bit steps below which two small frames count as the same: nothing moves


def misplaced(frames: Sequence[NDArray[np.float32]], ratio: float) -> list[int]:
    """Return the places of frames that are better exchanged with the next, or that stand far from their likes.

    Args:
        frames: small grey versions (h, w) in [0, 255], in the order of their numbers.
        ratio: the exchange must shorten the way past four frames to at most this share, in (0, 1).
    """
    if len(frames) < 4:
        return []
    flat = np.stack([frame.ravel() for frame in frames])
    steps = [np.abs(flat[gap:] - flat[:-gap]).mean(axis=1) for gap in (1, 2)]
    found = []
    for place in range(1, len(frames) - 2):
        before, here, after = steps[0][place - 1 : place + 2]
        way = before + here + after
        exchanged = steps[1][place - 1] + here + steps[1][place]
        if max(before, after) > _NOISE and exchanged <= ratio * way:
            found.append(place)
    return sorted({*found, *_strangers(steps, ratio)})


def _strangers(steps: Sequence[NDArray[np.float32]], ratio: float) -> list[int]:
    """Return frames far from both neighbours, which are close to each other: they belong elsewhere.

    Far is beyond twice the sequence's usual step too: of a camera that halts, every frame on the way is.
    """
    usual = float(np.median(steps[0]))
    found = []
    for place in range(1, len(steps[0])):
        detour = min(steps[0][place - 1], steps[0][place])
        if detour > max(_NOISE, 2 * usual) and steps[1][place - 1] <= ratio * detour:
            found.append(place)
    return found
