"""The pictures of a pair's side: one in a file, or the frames of a video or burst in a folder."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import PairRow
from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import inside

Pictures = NDArray[np.uint8]
"""(H, W, 3) of a file, (T, H, W, 3) of a folder."""


def read_pictures(path: Path) -> Pictures:
    """Return the picture of a file, or the frames of a folder in the order of their names.

    Raises:
        UnblurError: a file cannot be read, the folder holds no frames, or they differ in size.
    """
    if not path.is_dir():
        return read_rgb(path)
    frames = [read_rgb(file) for file in sorted(path.glob("*.png"))]
    sizes = {f"{frame.shape[1]} x {frame.shape[0]}" for frame in frames}
    if len(sizes) != 1:
        msg = f"{path}: {len(frames)} frames of {', '.join(sorted(sizes)) or 'no'} pixels; expected frames of one size"
        raise UnblurError(msg)
    return np.stack(frames)


def read_sides(row: PairRow, root: Path) -> tuple[Pictures, Pictures]:
    """Return the blurred and the sharp pictures of a prepared pair below `root`.

    Raises:
        UnblurError: a file is missing, outside `root` or not the one that the manifest names; or as `read_pictures`.
    """
    require_unchanged(row, root)
    return read_pictures(inside(root, row.blur)), read_pictures(inside(root, row.sharp))


def require_unchanged(row: PairRow, root: Path, again: str = "unblur prepare") -> None:
    """Do nothing if the files of a pair below `root` have the SHA-256 of its row; an empty one is not known.

    Raises:
        UnblurError: one is missing or another; `again` is the command that writes the manifest anew.
    """
    _require_files(row, root, again)
    for file, expected in ((row.blur, row.blur_sha256), (row.sharp, row.sharp_sha256)):
        if expected and sha256_pictures(inside(root, file)) != expected:
            msg = f"{root / file}: is not what the manifest names, it was changed since; run `{again}` again"
            raise UnblurError(msg)


def write_pictures(path: Path, pictures: Pictures) -> None:
    """Write a picture to the file `path`, or frames to PATH/0000.png and so on."""
    if pictures.ndim == 3:
        write_png(path, pictures)
        return
    for number, frame in enumerate(pictures):
        write_png(path / f"{number:04d}.png", frame)


def sha256_pictures(path: Path) -> str:
    """Return the SHA-256 of a file, or of the SHA-256s of a folder's frames one after the other."""
    if not path.is_dir():
        return sha256_file(path)
    digests = "".join(sha256_file(file) for file in sorted(path.glob("*.png")))
    return hashlib.sha256(digests.encode()).hexdigest()


def as_planes(pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Return (..., 3, H, W) float32 in [0, 1] of (..., H, W, 3) uint8."""
    planes = np.ascontiguousarray(np.moveaxis(pictures, -1, -3), dtype=np.float32)
    planes /= np.float32(255)
    return planes


def check_task(rows: Iterable[PairRow], root: Path, task: str) -> None:
    """Raise UnblurError unless the pairs in `root` are there and of that task: image, burst or video."""
    for row in rows:
        _require_files(row, root)
        many = inside(root, row.blur).is_dir(), inside(root, row.sharp).is_dir()
        found = {(False, False): "image", (True, False): "burst", (True, True): "video"}.get(many)
        if found != task:
            msg = f"{root}: pair {row.pair} is one for {found}, not for {task}; run `unblur prepare` as you train"
            raise UnblurError(msg)


def _require_files(row: PairRow, root: Path, again: str = "unblur prepare") -> None:
    for file in (row.blur, row.sharp):
        if not inside(root, file).exists():
            msg = f"{root / file}: missing, although the manifest lists the pair {row.pair}; run `{again}` again"
            raise UnblurError(msg)
