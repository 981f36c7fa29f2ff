"""A photograph as it is restored and written back: pixels, depth, transparency, EXIF and colour profile.

EXIF orientation is baked in: the pixels are turned upright and the tag is set to 1, because viewers honour the tag in
JPEG but not reliably in PNG, WebP and TIFF. So a restored photograph looks the same way up everywhere.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin

from unblur.errors import UnblurError
from unblur.restoring import sixteen_bit
from unblur.restoring.exif import UNREADABLE, upright, upright_exif
from unblur.restoring.tiff import write_tiff
from unblur.safety.atomic import replacing
from unblur.safety.images import DAMAGED, ImageHeader, check_image_header, open_image

Pixels = NDArray[np.unsignedinteger[Any]]  # uint8 or uint16

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}  # what the formats (JPEG: its library) can hold
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"quality": 95, "exact": True},  # exact: colours below full transparency stay
}


@dataclass(frozen=True)
class Photo:
    """An upright photograph.

    pixels are (H, W, 3) RGB, uint8 or uint16; grey says that the file has one channel (it is repeated here); alpha is
    (H, W) of the same type or None; exif and icc are the blocks as they go into a file; dpi is the resolution or None;
    subsampling is Pillow's number of a JPEG's chroma subsampling (0 is 4:4:4); notes tell what could not be kept.
    """

    pixels: Pixels
    grey: bool = False
    alpha: Pixels | None = None
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    subsampling: int = 0
    notes: tuple[str, ...] = ()


def read_photo(path: Path, max_pixels: int = 250_000_000) -> Photo:
    """Read a photograph upright, with what has to be written back. 16-bit files keep their 16 bits.

    A palette becomes RGB or RGBA; CMYK becomes sRGB, through its colour profile if it has one; of several frames or
    pages the first is taken.

    Raises:
        UnblurError: not a picture, too large, truncated or damaged, or of a kind that has no fixed range.
    """
    header = check_image_header(path, max_pixels)
    if header.bits > 16 or header.mode == "LAB":
        msg = f"{path}: {header.mode} pixels ({header.bits} bits) cannot be restored; save it as RGB with 8 or 16 bits"
        raise UnblurError(msg)
    try:
        with open_image(path) as image:
            exif, orientation, damaged = upright_exif(image)
            photo = _decoded(image, path, header)
            frames = getattr(image, "n_frames", 1)
    except DAMAGED as error:
        msg = f"{path}: truncated or damaged ({' '.join(str(error).split())}); replace the file"
        raise UnblurError(msg) from error
    several = (f"has {frames} frames, only the first is kept",) if frames > 1 and header.format != "MPO" else ()
    return replace(
        photo,
        pixels=upright(photo.pixels, orientation),
        alpha=None if photo.alpha is None else upright(photo.alpha, orientation),
        exif=exif,
        notes=(*photo.notes, *several, *damaged),
    )


def check_target(photo: Photo, path: Path) -> tuple[str, ...]:
    """Say what the target's format cannot hold, as notes; to be asked before the work is done.

    Raises:
        UnblurError: an unknown suffix, transparency into JPEG, or more pixels a side than the format can hold.
    """
    kind = output_format(path)
    if kind == "JPEG" and photo.alpha is not None and photo.alpha.min() < np.iinfo(photo.alpha.dtype).max:
        msg = f"{path}: JPEG cannot hold the transparency of the source; write .png, .webp or .tiff"
        raise UnblurError(msg)
    if max(photo.pixels.shape[:2]) > LONGEST_SIDE.get(kind, 1 << 31):
        height, width = photo.pixels.shape[:2]
        msg = (
            f"{path}: {width} x {height}; {kind} holds at most {LONGEST_SIDE[kind]} pixels a side; write .png or .tiff"
        )
        raise UnblurError(msg)
    if photo.pixels.dtype == np.uint16 and kind in ("JPEG", "WEBP"):
        return (f"16 bits become 8: {kind} holds no more",)
    return ()


def output_format(path: Path) -> str:
    """Return JPEG, PNG, WEBP or TIFF for the path's suffix.

    Raises:
        UnblurError: another suffix.
    """
    if path.suffix.lower() not in FORMATS:
        msg = f"{path}: {path.suffix or 'no suffix'} is no format that can be written; expected {', '.join(FORMATS)}"
        raise UnblurError(msg)
    return FORMATS[path.suffix.lower()]


def write_photo(photo: Photo, path: Path) -> None:
    """Write a photograph in the format of the path's suffix, whole or not at all; missing folders are made.

    JPEG and WebP have quality 95, JPEG the source's chroma subsampling; PNG and TIFF keep 16 bits.

    Raises:
        UnblurError: see `check_target`; or the place or the metadata cannot be written.
    """
    check_target(photo, path)
    try:
        with replacing(path) as unfinished:
            _write(photo, unfinished, output_format(path))
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path}: cannot be written ({reason})"
        raise UnblurError(msg) from error


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Round 16-bit values to 8 bits; 65535 becomes 255. 8-bit values are returned as they are."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _write(photo: Photo, unfinished: Path, kind: str) -> None:
    deep_png = kind == "PNG" and photo.pixels.dtype == np.uint16
    if deep_png or kind == "TIFF":
        write = sixteen_bit.write_png if deep_png else write_tiff
        write(unfinished, _channels(photo), photo.exif, photo.icc, photo.dpi)
        return
    options = {"exif": photo.exif, "icc_profile": photo.icc, "dpi": photo.dpi, **OPTIONS[kind]}
    if kind == "JPEG":
        photo = replace(photo, alpha=None)
        options["subsampling"] = photo.subsampling
    pixels = eight_bit(_channels(photo))
    Image.fromarray(pixels).save(unfinished, kind, **{k: v for k, v in options.items() if v is not None})


def _channels(photo: Photo) -> Pixels:
    """Put the file's channels together: (H, W) for grey, (H, W, 2 to 4) else."""
    colour: Pixels = photo.pixels
    if photo.grey:  # the network's three answers to three equal channels may differ a little
        colour = np.rint(photo.pixels.mean(axis=2, dtype=np.float32)).astype(photo.pixels.dtype)
    if photo.alpha is None:
        return colour
    return np.dstack([colour, photo.alpha])


def _decoded(image: Image.Image, path: Path, header: ImageHeader) -> Photo:
    """Decode the pixels; orientation and EXIF are the caller's."""
    image.load()  # for 16 bits too: OpenCV returns a truncated file as if it were whole
    icc, dpi = image.info.get("icc_profile"), image.info.get("dpi")
    notes: tuple[str, ...] = ()
    sampling = JpegImagePlugin.get_sampling(image) if header.format in ("JPEG", "MPO") else 0
    if header.bits == 16:
        colour, alpha = sixteen_bit.read(path)
        if image.mode == "LA":
            colour = colour[..., 0]
    else:
        image, icc, notes = _plain(image, icc)
        channels = np.asarray(image)
        opaque = channels if image.mode in ("L", "RGB") else channels[..., :-1].squeeze()
        colour, alpha = opaque, None if image.mode in ("L", "RGB") else channels[..., -1].copy()
    grey = colour.ndim == 2
    pixels = np.repeat(colour[..., None], 3, axis=2) if grey else np.ascontiguousarray(colour)
    dpi = (float(dpi[0]), float(dpi[1])) if dpi else None
    return Photo(pixels, grey, alpha, None, icc, dpi, max(sampling, 0), notes)


def _plain(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None, tuple[str, ...]]:
    """Bring an 8-bit image to L, LA, RGB or RGBA."""
    if image.mode == "CMYK":
        return (*_from_cmyk(image, icc), ("CMYK becomes RGB",))
    if image.mode in ("P", "PA"):
        transparent = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if transparent else "RGB"), icc, ()
    if image.mode in ("1", "L", "RGB"):
        if "transparency" in image.info:  # one colour stands for full transparency
            return image.convert("RGBA" if image.mode == "RGB" else "LA"), icc, ()
        return image.convert("L") if image.mode == "1" else image, icc, ()
    if image.mode in ("LA", "RGBA"):
        return image, icc, ()
    return image.convert("RGB"), icc, ()


def _from_cmyk(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert to sRGB through the image's profile; without a usable one by Pillow's plain formula, without profile."""
    if icc is not None:
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        try:
            converted = ImageCms.profileToProfile(image, io.BytesIO(icc), target, outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            return converted, target.tobytes()
    return image.convert("RGB"), None
