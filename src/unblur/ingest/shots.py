"""Shot changes: where a video goes from one camera to another, so that no exposure reaches across.

A cut shows in two ways at once: the colours change (Bhattacharyya distance of their histograms) and the edges lie
elsewhere (correlation of their strengths). Their product is high only where both do: brightness alone leaves the edges
where they are, motion leaves the colours as they were. It is sudden: in a fast pan the steps before and after are as
large. And it lasts: if any of the three frames before still resembles any of the three from there on, it was a flash.
Fades and dissolves are no cuts.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.images.video import DamagedVideoError, Frame

CUT = 0.17
"""The product above which a change is a cut: six cuts in real clips had 0.33 and more, the fastest motion 0.09."""

SUDDEN = 2.0
"""How many times a cut is larger than the smaller one of the steps beside it."""

AROUND = 3
"""Frames looked at on either side: flashes of up to two frames are no cuts."""

_SIZE = (64, 36)
_BLUR = 2.0
_WEAK_EDGE = 30.0


@dataclass(frozen=True)
class Look:
    """What a frame looks like, for comparison: its colours and where its edges are."""

    colours: NDArray[np.float32]  # (8, 8, 8), sums to 1
    edges: NDArray[np.float32]  # (36, 64), mean 0, norm 1


def look(pixels: NDArray[np.uint8]) -> Look:
    """Return the look of a frame (H, W, 3)."""
    small = cv2.GaussianBlur(cv2.resize(pixels, _SIZE, interpolation=cv2.INTER_AREA), (0, 0), _BLUR)
    colours = cv2.calcHist([small], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = np.log1p(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)) / _WEAK_EDGE)
    edges = cv2.GaussianBlur(edges, (0, 0), _BLUR)  # so that an edge that moves a little still meets itself
    edges -= edges.mean()
    return Look(colours / colours.sum(), edges / max(float(np.linalg.norm(edges)), 1e-6))


def difference(one: Look, two: Look) -> float:
    """Return how much two looks differ, from 0 to 2; above `CUT` they are of two shots."""
    colours = cv2.compareHist(one.colours, two.colours, cv2.HISTCMP_BHATTACHARYYA)
    return float(colours) * (1 - float((one.edges * two.edges).sum()))


def with_shots(frames: Iterable[Frame]) -> Iterator[tuple[int, Frame]]:
    """Yield (shot, frame) for each frame; shots are counted from 0. A gap or a new size begins a new one as well.

    Damage is raised after the last frame, as it is by `read_frames`. Memory holds three frames.
    """
    shot = 0
    before: deque[Look] = deque(maxlen=AROUND)
    ahead: deque[tuple[Frame, Look]] = deque()
    damage: DamagedVideoError | None = None
    last: Frame | None = None

    def take() -> tuple[int, Frame]:
        nonlocal shot, last
        frame, seen = ahead[0]
        if last is not None and (_apart(last, frame) or _is_cut(list(before), [other for _, other in ahead])):
            shot += 1
            before.clear()
        ahead.popleft()
        before.append(seen)
        last = frame
        return shot, frame

    try:
        for frame in frames:
            ahead.append((frame, look(frame.pixels)))
            if len(ahead) == AROUND:
                yield take()
    except DamagedVideoError as error:
        damage = error
    while ahead:
        yield take()
    if damage:
        raise damage


def windows(frames: Iterable[Frame], count: int, stride: int) -> Iterator[tuple[int, list[Frame]]]:
    """Yield (shot, `count` frames in a row of it), each `stride` frames after the one before; none crosses a cut."""
    held: deque[Frame] = deque(maxlen=count)
    current, wait = -1, 0
    for shot, frame in with_shots(frames):
        if shot != current:
            current, wait = shot, 0
            held.clear()
        held.append(frame)
        if wait:
            wait -= 1
        if len(held) == count and not wait:
            yield shot, list(held)
            wait = stride


def _apart(last: Frame, frame: Frame) -> bool:
    return frame.index != last.index + 1 or frame.pixels.shape != last.pixels.shape


def _is_cut(before: Sequence[Look], after: Sequence[Look]) -> bool:
    """Compare neighbours first: in almost every case they are alike, and that is all there is to do."""
    if (step := difference(before[-1], after[0])) <= CUT:
        return False
    beside = [difference(*pair) for pair in (before[-2:], after[:2]) if len(pair) == 2]
    sudden = step > SUDDEN * min(beside, default=0.0)
    return sudden and all(difference(one, two) > CUT for one in before for two in after)
