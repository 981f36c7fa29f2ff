"""A burst, several shots of one scene, restored to one photograph."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError, UsageError
from unblur.images.photo import Photo, read_photo
from unblur.restoring.photo import FORMATS, output_format, write_photo
from unblur.runtimes.guard import Broken
from unblur.runtimes.restorer import Restorer
from unblur.runtimes.tiles import restore_tiled
from unblur.safety.paths import real_path

Shots = NDArray[np.unsignedinteger[Any]]
"""(K, H, W, 3) uint8 or uint16; the first is the reference."""


@dataclass(frozen=True)
class Burst:
    """Shots of one size, the reference first; `faults` says in a line each which files could not be used, and why."""

    reference: Path
    photo: Photo
    shots: list[NDArray[Any]]
    faults: list[str]

    def write(self, pixels: NDArray[Any], target: Path) -> None:
        """Write the restored pixels as the reference was: EXIF, colour profile and depth are its own."""
        write_photo(replace(self.photo, pixels=pixels), target)


def read_burst(folder: Path, reference: str | None = None, max_pixels: int = 250_000_000) -> Burst:
    """Return the shots of a folder; the reference is the one of that name, or the first by name.

    Raises:
        UnblurError: no such folder, no photograph in it, no shot of that name, or a reference that cannot be read.
    """
    files = find_shots(folder)
    first = next((path for path in files if path.name == reference), None) if reference else files[0]
    if first is None:
        msg = f"{folder}: has no shot {reference!r}; it has {', '.join(path.name for path in files[:5])}"
        raise UnblurError(msg)
    photo = read_photo(first, max_pixels)
    shots, faults = [photo.pixels], []
    for path in files:
        if path == first:
            continue
        try:
            pixels = read_photo(path, max_pixels).pixels
        except UnblurError as error:
            faults.append(str(error))
            continue
        if pixels.shape != photo.pixels.shape or pixels.dtype != photo.pixels.dtype:
            sizes = f"{pixels.shape[1]} x {pixels.shape[0]} {pixels.dtype}"
            wanted = f"{photo.pixels.shape[1]} x {photo.pixels.shape[0]} {photo.pixels.dtype}"
            faults.append(f"{path}: {sizes}, the reference has {wanted}; left out, take shots of one size")
            continue
        shots.append(pixels)
    return Burst(first, photo, shots, faults)


def find_shots(folder: Path) -> list[Path]:
    """Return the photographs of a folder by name; hidden files, as some systems leave them beside each, are none.

    Raises:
        UnblurError: no such folder, or no photograph in it.
    """
    if not folder.is_dir():
        msg = f"{folder}: is no folder; with --burst, IN is a folder of shots of one scene"
        raise UnblurError(msg)
    files = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in FORMATS and not path.name.startswith(".")
    )
    if not files:
        msg = f"{folder}: holds no photographs; expected {', '.join(FORMATS)}"
        raise UnblurError(msg)
    return files


def check_burst_target(folder: Path, target: Path) -> None:
    """Refuse what cannot be written, to be asked before the work is done.

    Raises:
        UsageError: the target is a folder, or lies among the shots, itself or what it links to.
        UnblurError: its suffix is of no format that is written.
    """
    if target.is_dir():
        msg = f"{target}: is a folder; name the photograph to write, such as {target / 'restored.png'}"
        raise UsageError(msg)
    if folder.resolve() in (target.parent.resolve(), real_path(target).parent):
        msg = f"{target}: lies among the shots, and would be taken for one; give another place to write to"
        raise UsageError(msg)
    output_format(target)


def restore_burst(
    restorer: Restorer,
    shots: Shots,
    tile: int = 512,
    overlap: int = 64,
    track: Callable[[Sequence[Any]], Iterable[Any]] = lambda steps: steps,
    *,
    broken: list[Broken] | None = None,
) -> NDArray[Any]:
    """Return the reference (H, W, 3) restored, in tiles; memory holds the shots and one tile of each.

    `broken`: see `restore_tiled`; the answer is compared with the reference.
    """
    count = len(shots)
    # Tiles take (H, W, C); the shots travel side by side as channels.
    joined = np.concatenate(list(shots), axis=2)

    def restore_joined(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return restorer(batch.reshape(batch.shape[0], count, 3, *batch.shape[-2:]))

    return restore_tiled(restore_joined, joined, tile=tile, overlap=overlap, track=track, channels=3, broken=broken)
