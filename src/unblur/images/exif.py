"""EXIF of a photograph that is turned upright: orientation baked in, the rest kept."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from unblur.images.header import DAMAGED

Depth = TypeVar("Depth", bound=np.generic)

# Of a TIFF's own tags those that describe the photograph; the others describe how its pixels lie in the file.
DESCRIPTIVE = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)


def upright_exif(found: Image.Exif, own: bytes | None, orientation: int) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the EXIF block with orientation 1, and notes.

    Where nothing has to change the block is the file's `own`, byte for byte. Otherwise it is written anew, without the
    embedded thumbnail; a block that is too damaged for that is left out, with a note.
    """
    try:
        if orientation == 1:
            return own, ()
        turned = Image.Exif()
        turned.load(found.tobytes())
        turned[ExifTags.Base.Orientation] = 1
        if orientation > 4:
            _swap_sides(turned.get_ifd(ExifTags.IFD.Exif))
        return turned.tobytes(), ()
    except DAMAGED:
        return None, ("its EXIF is damaged and left out",)


def described(found: Image.Exif, orientation: int) -> tuple[bytes | None, tuple[str, ...]]:
    """Return EXIF of those of a TIFF's tags that describe the photograph, upright; None if there are none; notes."""
    try:
        return _described(found, orientation), ()
    except DAMAGED:
        return None, ("its EXIF is damaged and left out",)


def _described(found: Image.Exif, orientation: int) -> bytes | None:
    kept = Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in found:
            kept[tag] = found[tag]
    for name in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if inner := dict(found.get_ifd(name)):
            if orientation > 4:
                _swap_sides(inner)
            kept.get_ifd(name).update(inner)
            kept[name] = 0  # its place in the file, which Pillow fills in
    if not kept:
        return None
    kept[ExifTags.Base.Orientation] = 1
    return kept.tobytes()


def upright(pixels: NDArray[Depth], orientation: int) -> NDArray[Depth]:
    """Turn (H, W) or (H, W, C) stored with an EXIF orientation (1 to 8) the way a viewer shows it."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _swap_sides(tags: dict[int, Any]) -> None:
    """Exchange the recorded width and height of a photograph that is turned by a quarter."""
    width, height = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight
    if width in tags and height in tags:
        tags[width], tags[height] = tags[height], tags[width]
