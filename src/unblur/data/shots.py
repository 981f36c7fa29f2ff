"""Shot changes: where a video goes from one camera to another, so that no exposure reaches across.

A cut shows in two ways at once: the colours change (Bhattacharyya distance of their histograms) and the edges lie
elsewhere (correlation of their strengths). Their product is high only where both do: brightness alone leaves the edges
where they are, motion leaves the colours as they were. And it lasts: if any of the three frames before still resembles
any of the three from there on, it was a flash. Fades and dissolves are no cuts.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unblur.data.video import DamagedVideoError, Frame

CUT = 0.15
"""The product above which a change is a cut: six cuts in real clips had 0.25 to 0.80, the fastest motion 0.08."""

AROUND = 3
"""Frames looked at on either side: flashes of up to two frames are no cuts."""

_SIZE = (64, 36)


@dataclass(frozen=True)
class Look:
    """What a frame looks like, for comparison: its colours and where its edges are."""

    colours: NDArray[np.float32]  # (8, 8, 8), sums to 1
    edges: NDArray[np.float32]  # (36, 64), mean 0, norm 1


def look(pixels: NDArray[np.uint8]) -> Look:
    """Return the look of a frame (H, W, 3)."""
    small = cv2.resize(pixels, _SIZE, interpolation=cv2.INTER_AREA)
    colours = cv2.calcHist([small], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = np.log1p(np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1)))
    edges = cv2.GaussianBlur(edges, (0, 0), 1.5)  # so that an edge that moves a little still meets itself
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
        if last is not None and (_apart(last, frame) or _is_cut(before, [other for _, other in ahead])):
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


def _is_cut(before: Iterable[Look], after: Iterable[Look]) -> bool:
    """Compare neighbours first: in almost every case they are alike, and that is all there is to do."""
    return all(difference(one, two) > CUT for one in reversed(list(before)) for two in after)
