"""Blurred and sharp pairs out of high-frame-rate videos, and each of them again from its manifest row."""

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblur.blur.frame_averaging import FrameAveraging, travel
from unblur.data.images import write_png
from unblur.data.manifest import FRAME_AVERAGE, SPLITS, PairRow, write_manifest
from unblur.errors import UnblurError
from unblur.images.video import VIDEOS, DamagedVideoError, Frame, read_frames
from unblur.ingest.shots import windows
from unblur.safety.hashing import sha256_file
from unblur.safety.owned import claim_folder
from unblur.safety.paths import SafeName, SafePath, inside

Photo = NDArray[np.uint8]
Track = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class Averaged:
    """What came out: the pairs, one line for each damaged or unreadable video, and the videos without any pair."""

    rows: list[PairRow] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    too_short: list[str] = field(default_factory=list)


def average_videos(
    source: Path | Sequence[Path],
    out: Path,
    averaging: FrameAveraging,
    *,
    stride: int,
    split: str = "train",
    splits: Mapping[str, str] | None = None,
    overwrite: bool = False,
    track: Track = iter,
) -> Averaged:
    """Write the pairs of videos, or of all below folders, with a manifest of how each was made.

    No exposure crosses a shot change or a damaged frame. What can be read of a damaged video is used. The manifest is
    written after each video and on an interruption, so that no pair is lost.

    Args:
        source: a video file or a folder of them, or several.
        out: gets {split}/blur/NAME/NNNNNN.png and {split}/sharp/NAME/NNNNNN.png, numbered by the truth's frame, and
            manifest.csv; it must be empty, new, or begun by the same call.
        averaging: the exposure.
        stride: frames from one exposure's beginning to the next one's; less than the exposure makes them overlap.
        split: of all pairs but those of `splits`; a video is one scene.
        splits: a video's file name, with or without its ending -> its split.
        overwrite: write into `out` whatever is there; what another manifest named stays beside.
        track: wraps the videos' names, for a progress bar.

    Raises:
        UnblurError: no video, an unknown split, `splits` names none of the videos, a stride below 1, or `out` holds
            something else.
    """
    for wanted in (split, *(splits or {}).values()):
        if wanted not in SPLITS:
            msg = f"there is no split {wanted!r}; expected one of {', '.join(SPLITS)}"
            raise UnblurError(msg)
    if stride < 1:
        msg = f"got a stride of {stride} frames; expected 1 or more"
        raise UnblurError(msg)
    root, names = find_videos(source)
    split_of = dict.fromkeys(names, split) | _named_splits(names, splits or {})
    made_of = {"videos": {name: sha256_file(root / name) for name in names}, "splits": split_of, "stride": stride}
    claim_folder(out, "data average", {**made_of, **asdict(averaging)}, overwrite)
    averaged = Averaged()
    for name in track(names):
        before = len(averaged.rows)
        try:
            for shot, frames in windows(read_frames(root / name), averaging.frames, stride):
                averaged.rows.append(_write_pair(out, averaging, frames, source=name, split=split_of[name], shot=shot))
        except UnblurError as error:
            averaged.failures.append(str(error))
        else:
            if len(averaged.rows) == before:
                averaged.too_short.append(name)
        finally:
            if averaged.rows:  # a folder without pairs stays free for a call with other options
                write_manifest(out, averaged.rows)
    return averaged


def find_videos(source: Path | Sequence[Path]) -> tuple[Path, list[str]]:
    """Return a folder and the videos in it, relative to it and sorted: files as they are, all below for a folder.

    Raises:
        UnblurError: there is no such path, no video below it, or two whose pairs would get the same name.
    """
    sources = [source] if isinstance(source, Path) else source
    root = common_folder(sources)
    found: set[Path] = set()
    for path in sources:
        if path.is_file():
            found.add(path)
            continue
        if not path.is_dir():
            msg = f"{path}: there is no such video or folder"
            raise UnblurError(msg)
        below = {inner for inner in path.rglob("*") if inner.suffix.lower() in VIDEOS and inner.is_file()}
        if not below:
            msg = f"{path} holds no video; expected files that end in {', '.join(VIDEOS)}"
            raise UnblurError(msg)
        found |= below
    names = sorted({Path(os.path.relpath(path, root)).as_posix() for path in found})
    owner: dict[str, str] = {}
    for name in names:
        if (other := owner.setdefault(_scene(name), name)) != name:
            msg = f"{name} and {other} would both be called {_scene(name)!r}; rename one of them"
            raise UnblurError(msg)
    return root, names


def common_folder(sources: Sequence[Path]) -> Path:
    """Return the folder that all of these videos and folders lie in: a folder itself, if it is the only one."""
    folders = [path if path.is_dir() else path.parent for path in sources]
    return folders[0] if len(set(folders)) == 1 else Path(os.path.commonpath([folder.absolute() for folder in folders]))


def _named_splits(names: Sequence[str], splits: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of the videos that `splits` names -> their splits."""
    found: dict[str, str] = {}
    for wanted, split in splits.items():
        known = [name for name in names if wanted in (name, Path(name).name, Path(name).stem)]
        if len(known) != 1:
            msg = f"{wanted!r} for {split} is {len(known) or 'none'} of the videos; expected one of {', '.join(names)}"
            raise UnblurError(msg)
        found[known[0]] = split
    return found


def remake_average(row: PairRow, root: Path) -> tuple[Photo, Photo]:
    """Return (blurred, sharp), (H, W, 3) uint8, made again from the video below `root` and the numbers in `row`.

    Raises:
        UnblurError: as `exposed_frames`.
    """
    averaging, _ = _exposure(row)
    return averaging(exposed_frames(row, root))


def exposed_frames(row: PairRow, root: Path) -> list[Photo]:
    """Return the frames (H, W, 3) uint8 of a pair's exposure, read from the video below `root` again.

    Raises:
        UnblurError: the row is of another kind or lacks a number, or the video lacks its frames.
    """
    averaging, first = _exposure(row)
    last = first + averaging.frames
    path = inside(root, row.source)
    try:
        read = itertools.takewhile(lambda frame: frame.index < last, read_frames(path))
        return [frame.pixels for frame in read if frame.index >= first]
    except DamagedVideoError as error:
        msg = f"{row.pair}: its frames {first} to {last - 1} are damaged in {path}; fetch the video again"
        raise UnblurError(msg) from error


def _exposure(row: PairRow) -> tuple[FrameAveraging, int]:
    """Return how the frames of a pair were averaged, and the number of the first one."""
    if row.kind != FRAME_AVERAGE:
        msg = f"{row.pair}: a pair of the kind {row.kind!r}, not an average of frames"
        raise UnblurError(msg)
    numbers = row.parameters
    lacking = [name for name in ("first_frame", "frames", "interpolate") if not isinstance(numbers.get(name), int)]
    if lacking or "gamma" not in numbers:
        msg = f"{row.pair}: its row does not tell {', '.join(lacking or ['gamma'])}; run `unblur data average` again"
        raise UnblurError(msg)
    averaging = FrameAveraging(numbers["frames"], numbers["gamma"], numbers["interpolate"])
    return averaging, numbers["first_frame"]


def _write_pair(
    out: Path, averaging: FrameAveraging, frames: Sequence[Frame], *, source: str, split: str, shot: int
) -> PairRow:
    pixels = [frame.pixels for frame in frames]
    blurred, sharp = averaging(pixels)
    # A folder for each video: imported as pairs, all of it lies in one split.
    scene, middle = _scene(source), f"{frames[len(frames) // 2].index:06d}"
    blur_path, sharp_path = (f"{split}/{side}/{scene}/{middle}.png" for side in ("blur", "sharp"))
    write_png(out / blur_path, blurred)
    write_png(out / sharp_path, sharp)
    exposure = {"frames": averaging.frames, "gamma": averaging.gamma, "interpolate": averaging.interpolate}
    return PairRow(
        pair=SafeName(f"{scene}_{middle}"),
        split=split,
        scene=scene,
        source=SafePath(source),
        blur=SafePath(blur_path),
        sharp=SafePath(sharp_path),
        seed=0,  # nothing is drawn
        kind=FRAME_AVERAGE,
        strength=round(travel(pixels), 2),
        parameters={**exposure, "first_frame": frames[0].index, "shot": shot},
        blur_sha256=sha256_file(out / blur_path),
        sharp_sha256=sha256_file(out / sharp_path),
    )


def _scene(name: str) -> str:
    return "_".join(Path(name).with_suffix("").parts)
