"""Sequences in a manifest: rows whose frames follow each other; a frame that is missing ends one and begins another."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from unblur.data.manifest import PairRow


def scenes(rows: Iterable[PairRow]) -> dict[str, list[PairRow]]:
    """Return the rows that tell their `frame` by scene, in the order of the frames."""
    found: dict[str, list[PairRow]] = defaultdict(list)
    for row in rows:
        if "frame" in row.parameters:
            found[row.scene].append(row)
    for members in found.values():
        members.sort(key=frame)
    return dict(found)


def unbroken(scene: Sequence[PairRow]) -> list[list[PairRow]]:
    """Return the runs of a scene's rows, in order, between which frames are missing.

    Numbers may go up by ones or by another step: a gap is a step larger than the scene's usual one.
    """
    steps = [frame(after) - frame(before) for before, after in pairwise(scene)]
    usual = min(step for step, count in Counter(steps).items() if count == max(Counter(steps).values())) if steps else 1
    runs = [list(scene[:1])]
    for row, step in zip(scene[1:], steps, strict=True):
        if step > usual:
            runs.append([])
        runs[-1].append(row)
    return runs


def frame(row: PairRow) -> int:
    """Return the number of a row's frame."""
    return int(row.parameters["frame"])
