"""What would ruin training on pairs: shifted truth, exchanged sides, clipped or constant frames, wrong order, leaks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import CheckConfig
from unblur.data.alignment import measure_shift
from unblur.data.images import read_rgb
from unblur.data.manifest import PairRow
from unblur.data.near_duplicates import Fingerprint, fingerprint
from unblur.data.sequences import frame, unbroken
from unblur.errors import UnblurError
from unblur.images.header import check_image_header
from unblur.ingest.check import DataReport, Finding, check_picture, find_duplicates, find_turned
from unblur.ingest.exposure import contrast, sharpness
from unblur.ingest.frame_order import misplaced
from unblur.ingest.imported import Imported
from unblur.ingest.layouts.layout import is_picture
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import inside

Pixels = NDArray[np.uint8]
Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class _Seen:
    """What is kept of a row's sharp picture; the picture itself is gone by then."""

    size: tuple[int, int]
    print: Fingerprint


def check_imported(dataset: Imported, limits: CheckConfig, min_side: int, track: Track = iter) -> DataReport:
    """Check every pair, photograph and sequence of an imported dataset; each picture is decoded once.

    Args:
        dataset: its rows are checked, and no other file.
        limits: from where on to report.
        min_side: least width and height of a picture, in pixels.
        track: wraps the rows, for a progress bar.
    """
    findings: list[Finding] = []
    seen: dict[int, _Seen] = {}
    for index, row in enumerate(track(dataset.rows)):
        if not is_picture(Path(row.sharp)):
            continue  # a video: listed, not decoded
        findings += _changed(row, dataset.root)
        try:
            sharp = read_rgb(inside(dataset.root, row.sharp))
            blur = read_rgb(inside(dataset.root, row.blur)) if row.blur else None
        except UnblurError as error:
            findings.append(Finding("error", "unreadable", row.blur or row.sharp, str(error)))
            continue
        findings += _tagged(row, dataset.root)
        seen[index] = _Seen((sharp.shape[1], sharp.shape[0]), fingerprint(sharp))
        findings += check_picture(row.sharp, sharp, limits, min_side)
        if blur is not None:
            findings += [replace(found, other=row.sharp) for found in check_pair(row.blur, blur, sharp, limits)]
    findings += _leaks(dataset.rows)
    findings += _duplicates(dataset.rows, seen, limits)
    findings += _sequences(dataset.rows, seen, limits)
    findings.sort(key=lambda finding: (finding.severity, finding.file, finding.problem))
    splits = Counter(row.split for row in dataset.rows)
    pictures = sum((is_picture(Path(row.sharp))) + bool(row.blur) for row in dataset.rows)
    videos = sum(not is_picture(Path(row.sharp)) for row in dataset.rows)
    return DataReport(pictures, videos, dict(sorted(splits.items())), findings)


def _changed(row: PairRow, root: Path) -> list[Finding]:
    """Compare the files with the hashes of the import; one that is missing is told by whoever reads it."""
    pairs = [(file, sha) for file, sha in ((row.blur, row.blur_sha256), (row.sharp, row.sharp_sha256)) if file]
    return [
        Finding("error", "changed since the import", file, "another SHA-256; run `unblur data import` again")
        for file, sha in pairs
        if (root / file).is_file() and sha256_file(root / file) != sha
    ]


def _tagged(row: PairRow, root: Path) -> list[Finding]:
    """Tell of sides whose EXIF orientations differ: they are read upright here, but other programs may not do so."""
    if not row.blur:
        return []
    turns = [check_image_header(inside(root, file)).orientation for file in (row.blur, row.sharp)]
    if turns[0] == turns[1]:
        return []
    detail = f"EXIF orientation {turns[0]}, its truth has {turns[1]}; both are read upright"
    return [Finding("warning", "orientation by EXIF", row.blur, detail, row.sharp)]


def check_pair(name: str, blur: Pixels, sharp: Pixels, limits: CheckConfig) -> list[Finding]:
    """Find what is wrong between a blurred picture, called `name`, and its truth."""
    sizes = ((blur.shape[1], blur.shape[0]), (sharp.shape[1], sharp.shape[0]))
    if turned := find_turned(name, (fingerprint(blur), fingerprint(sharp)), sizes, limits):
        return turned
    if blur.shape != sharp.shape:
        told = " but ".join(f"{width} x {height}" for width, height in sizes)
        return [Finding("error", "mismatched pair", name, f"{told} for its truth")]
    if min(contrast(blur), contrast(sharp)) < limits.min_contrast:
        return [] if contrast(sharp) < limits.min_contrast else [Finding("error", "constant", name, "the truth is not")]
    findings = []
    if (ratio := sharpness(blur) / max(sharpness(sharp), 1e-6)) > limits.max_sharpness:
        findings.append(Finding("error", "sharper than its truth", name, f"gradients {ratio:.2f} times as strong"))
    shift = measure_shift(blur, sharp)
    if shift.size > limits.max_shift and shift.gain > limits.shift_gain:
        detail = f"by {shift.size:.1f} pixels ({shift.x:+.1f} right, {shift.y:+.1f} down)"
        findings.append(Finding("error", "truth is shifted", name, detail))
    return findings


def _leaks(rows: Sequence[PairRow]) -> list[Finding]:
    splits: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        splits[row.scene].add(row.split)
    return [
        Finding("error", "scene in two splits", scene, f"in {' and '.join(sorted(found))}")
        for scene, found in splits.items()
        if len(found) > 1
    ]


def _duplicates(rows: Sequence[PairRow], seen: Mapping[int, _Seen], limits: CheckConfig) -> list[Finding]:
    return find_duplicates({rows[i].sharp: rows[i].split for i in seen}, [item.print for item in seen.values()], limits)


def _sequences(rows: Sequence[PairRow], seen: Mapping[int, _Seen], limits: CheckConfig) -> list[Finding]:
    scenes: dict[str, list[int]] = defaultdict(list)
    for index in seen:
        if "frame" in rows[index].parameters:
            scenes[rows[index].scene].append(index)
    findings = []
    for scene, members in scenes.items():
        members.sort(key=lambda index: frame(rows[index]))
        for before, after in pairwise(unbroken([rows[index] for index in members])):
            detail = f"none between {frame(before[-1])} and {frame(after[0])} of {scene}: a sequence ends there"
            findings.append(Finding("warning", "missing frames", after[0].sharp, detail))
        sizes = Counter(seen[index].size for index in members)
        if len(sizes) > 1:
            usual = sizes.most_common(1)[0][0]
            odd = next(index for index in members if seen[index].size != usual)
            width, height = seen[odd].size
            detail = f"{width} x {height}, most frames of {scene} are {usual[0]} x {usual[1]}"
            findings.append(Finding("error", "mixed sizes", rows[odd].sharp, detail))
        places = misplaced([seen[index].print.grey for index in members], limits.frame_order)
        for place in places:
            detail = f"frame {rows[members[place]].parameters['frame']} of {scene} does not follow from its neighbours"
            findings.append(Finding("error", "wrong frame order", rows[members[place]].sharp, detail))
    return findings
