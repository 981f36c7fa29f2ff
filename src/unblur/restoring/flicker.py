"""Flicker of a video that is restored frame by frame: measured against the input's, and bounded where it stands still.

A network for images sees each frame alone, and what it makes of noise differs from frame to frame. Where the input
stands still, the output may step no further than the input does, and one step of 255 more; where it moves, the
network's answer is taken as it is. So nothing is smeared, nothing is delayed by more than it would flicker, and what
the network does to calm noise stays.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.unsignedinteger[Any]]
"""(H, W, 3) RGB, uint8 or uint16; all frames of a video alike."""

SLACK = 1
"""Steps of 255 by which the output may move further than the input between two frames."""

_STILL, _MOVING = 2.0, 4.0  # change of the means over 9 x 9 pixels, in steps of 255; noise hardly shows in them


class Steadier:
    """Takes the frames of a video in turn and returns them, steady if `bound`; measures flicker as it goes.

    Flicker is the mean step of the still pixels between neighbouring frames, in steps of 255.
    """

    def __init__(self, bound: bool = True) -> None:
        self.bound = bound
        self._before: Frame | None = None
        self._answer: Frame | None = None
        self._after: Frame | None = None
        self._sums = np.zeros(4)  # steps of the input, of the network's answer, of the output; still pixels

    def __call__(self, before: Frame, answer: Frame) -> Frame:
        """Return the frame to show for the network's `answer` to `before`."""
        after = answer
        if self._before is not None and self._after is not None and self._answer is not None:
            unit = np.iinfo(before.dtype).max // 255
            signed = cv2.CV_16S if unit == 1 else cv2.CV_32S
            still = _stillness(before, self._before, unit)
            taken = cv2.subtract(before, self._before, dtype=signed)
            if self.bound:
                wanted = cv2.subtract(answer, self._after, dtype=signed)
                step = np.clip(wanted, np.minimum(taken, 0) - SLACK * unit, np.maximum(taken, 0) + SLACK * unit)
                held = self._after + step * still[..., None] + wanted * (1 - still[..., None])
                after = np.rint(held).astype(before.dtype)
            at_rest = still == 1
            steps = (taken, cv2.absdiff(answer, self._answer), cv2.absdiff(after, self._after))
            sums = (float(np.abs(each[at_rest]).sum(dtype=np.float64)) / unit for each in steps)
            self._sums += [*sums, 3 * at_rest.sum()]
        self._before, self._answer, self._after = before, answer, after
        return after

    @property
    def flicker(self) -> tuple[float, float, float] | None:
        """Return the flicker of input, network and output; None if nothing ever stood still."""
        *steps, pixels = self._sums
        return tuple(float(each / pixels) for each in steps) if pixels else None  # type: ignore[return-value]


def _stillness(now: Frame, last: Frame, unit: int) -> NDArray[np.float32]:
    """Return 1 where the input stands still, 0 where it moves, (H, W)."""
    means = [cv2.blur(frame, (9, 9)) for frame in (now, last)]
    change = cv2.absdiff(*means).max(axis=2).astype(np.float32) / unit
    moves = cv2.dilate(change, np.ones((9, 9), np.uint8))
    still: NDArray[np.float32] = np.clip((_MOVING - moves) / (_MOVING - _STILL), 0, 1).astype(np.float32)
    return still
