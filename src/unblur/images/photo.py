"""The one reader of pictures, for restoring, training and checks: upright pixels, and what is written back with them.

EXIF orientation is baked in: the pixels are turned upright and the tag is set to 1, because viewers honour the tag in
JPEG but not reliably in PNG, WebP and TIFF. So a restored photograph looks the same way up everywhere.
"""

import io
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin

from unblur.errors import UnblurError
from unblur.images import heif, netpbm, png, tiff
from unblur.images.channels import Channels, Values, eight_bit, split_alpha
from unblur.images.exif import described, upright, upright_exif
from unblur.images.header import DAMAGED, ImageHeader, check_image_header, open_image, png_exif
from unblur.images.png_metadata import IPTC_BLOCK, PngMetadata, read_metadata

# XMP that describes what follows a JPEG's picture: a gain map, a depth map, a video. Without those it would be wrong.
OF_APPENDED = re.compile(rb"hdrgm:|GainMap|Container:Directory|MotionPhoto|MicroVideo|HasExtendedXMP")
TURNED_XMP = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)[2-8]""")


@dataclass(frozen=True)
class Photo:
    """An upright photograph.

    pixels are (H, W, 3) RGB, uint8 or uint16; grey says that the file has one channel (it is repeated here); alpha is
    (H, W) of the same type or None. exif, icc, xmp and iptc are the blocks as they go into a file; dpi is the
    resolution or None; colour are a PNG's chunks that say how its values become light; texts are (keyword, text);
    subsampling is Pillow's number of a JPEG's chroma subsampling (0 is 4:4:4); bits are those of the file a channel;
    notes tell what could not be kept.
    """

    pixels: Values
    grey: bool = False
    alpha: Values | None = None
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    subsampling: int = 0
    notes: tuple[str, ...] = ()
    xmp: bytes | None = None
    iptc: bytes | None = None
    colour: png.Chunks = ()
    texts: tuple[tuple[str, str], ...] = ()
    bits: int = 16


def read_photo(path: Path, max_pixels: int = 250_000_000) -> Photo:
    """Read a photograph upright, with what has to be written back. More than 8 bits become 16, of the same brightness.

    A palette becomes RGB or RGBA; CMYK becomes sRGB, through its colour profile if it has one; of several frames or
    pages the first is taken. Values are as they are stored: a colour profile or a PNG's gamma is kept, not applied.

    Raises:
        UnblurError: not a picture, too large, truncated or damaged, or of a kind that is not read.
    """
    header = check_image_header(path, max_pixels)
    if header.bits > 16 or header.mode == "LAB":
        msg = f"{path}: {header.mode} pixels ({header.bits} bits) are not read; save it as RGB with 8 or 16 bits"
        raise UnblurError(msg)
    try:
        read = {"TIFF": _read_tiff, "HEIF": _read_heic}.get(header.format, _read_other)
        photo = read(path, header)
    except DAMAGED as error:
        msg = f"{path}: truncated or damaged ({' '.join(str(error).split())}); replace the file"
        raise UnblurError(msg) from error
    return replace(
        photo,
        bits=header.bits,
        pixels=upright(photo.pixels, header.orientation),
        alpha=None if photo.alpha is None else upright(photo.alpha, header.orientation),
    )


def _read_tiff(path: Path, header: ImageHeader) -> Photo:
    channels = tiff.read_tiff(path)
    tags = tiff.read_tags(path)
    exif, damaged = described(_tiff_exif(path), header.orientation)
    pages = (f"has {tags.pages} frames, only the first is kept",) if tags.pages > 1 else ()
    photo = _photo(channels, tags.icc)
    xmp, lost = _plain_xmp(tags.xmp)
    notes = (*photo.notes, *pages, *damaged, *lost)
    return replace(photo, exif=exif, dpi=_real(tags.dpi), xmp=xmp, iptc=tags.iptc, notes=notes)


def _read_heic(path: Path, header: ImageHeader) -> Photo:
    image = heif.open_heic(path)
    info: dict[str, Any] = dict(image.info)
    damaged: tuple[str, ...] = ()
    try:
        found = heif.heic_exif(image)
        exif = found.tobytes() if len(found) else None
    except DAMAGED:
        exif, damaged = None, ("its EXIF is damaged and left out",)
    icc = info.get("icc_profile")
    photo = _photo(heif.read_heic(image), icc)
    xmp, lost = _plain_xmp(info.get("xmp"))
    notes = (*photo.notes, *heif.left_out(image), *damaged, *lost)
    return replace(photo, exif=exif, xmp=xmp, notes=notes, colour=() if icc else heif.light(path))


def _read_other(path: Path, header: ImageHeader) -> Photo:
    own = read_metadata(path) if header.format == "PNG" else PngMetadata()
    with open_image(path) as image:
        channels = _channels(image, path, header)
        info, frames = image.info, getattr(image, "n_frames", 1)
        sampling = JpegImagePlugin.get_sampling(image) if header.format in ("JPEG", "MPO") else 0
        try:
            found = png_exif(own.exif) if header.format == "PNG" else image.getexif()
            block = (found.tobytes() if len(found) else None) if header.format == "PNG" else info.get("exif")
            exif, damaged = upright_exif(found, block, header.orientation)
        except DAMAGED:
            exif, damaged = None, ("its EXIF is damaged and left out",)
    photo = _photo(channels, own.icc or info.get("icc_profile"))
    xmp, lost = _plain_xmp(own.xmp or info.get("xmp"))
    others = "appended pictures (gain map, depth or preview) are left out" if header.format == "MPO" else ""
    several = (others or f"has {frames} frames, only the first is kept",) if frames > 1 else ()
    texts, colour = own.texts, own.colour
    if isinstance(info.get("comment"), bytes):
        texts = (("Comment", info["comment"].decode("utf-8", "replace")),)
    if header.format == "AVIF" and not photo.icc:
        colour = heif.light(path)
    of_jpeg = (info.get("photoshop") or {}).get(IPTC_BLOCK) if header.format in ("JPEG", "MPO") else None
    return replace(
        photo,
        exif=exif,
        dpi=_real(own.dpi or info.get("dpi")),
        subsampling=max(sampling, 0),
        notes=(*photo.notes, *several, *own.notes, *damaged, *lost),
        xmp=xmp,
        iptc=own.iptc or of_jpeg,
        colour=colour,
        texts=texts,
    )


def _channels(image: Image.Image, path: Path, header: ImageHeader) -> Channels:
    if header.format == "PNG":
        return png.read_png(path)
    if header.format == "AVIF":
        return heif.read_avif(path, header.bits)
    if header.format == "PPM" and header.bits != 1 and netpbm.white_value(image) != 255:
        return netpbm.read_scaled(path, image)
    image.load()
    if image.mode == "CMYK":
        inks = np.asarray(image)  # Pillow takes every JPEG for one of Adobe's, whose inks are stored inverted
        return Channels(inks if header.format not in ("JPEG", "MPO") or "adobe" in image.info else 255 - inks)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGBA" if "transparency" in image.info else "RGB")
    return split_alpha(np.array(image))


def _photo(channels: Channels, icc: bytes | None) -> Photo:
    """Bring grey, RGB or CMYK to RGB."""
    colour, notes = channels.colour, channels.notes
    if colour.shape[2] == 4:
        colour, icc = _from_cmyk(eight_bit(colour), icc)
        notes = (*notes, "CMYK becomes RGB" + (" with 8 bits" if channels.colour.dtype == np.uint16 else ""))
    grey = colour.shape[2] == 1
    pixels = np.repeat(colour, 3, axis=2) if grey else np.ascontiguousarray(colour)
    alpha = channels.alpha
    if alpha is not None and alpha.dtype != pixels.dtype:
        alpha = eight_bit(alpha)
    return Photo(pixels, grey, alpha, None, icc, notes=notes)


def _from_cmyk(inks: Values, icc: bytes | None) -> tuple[Values, bytes | None]:
    """Convert to sRGB through the profile; without a usable one by Pillow's plain formula, without profile."""
    image = Image.fromarray(np.ascontiguousarray(inks), "CMYK")
    if icc is not None:
        target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        try:
            converted = ImageCms.profileToProfile(image, io.BytesIO(icc), target, outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            return np.array(converted), target.tobytes()
    return np.array(image.convert("RGB")), None


def _tiff_exif(path: Path) -> Image.Exif:
    """Return a TIFF's tags; none where Pillow does not know the file's kind and it is a BigTIFF."""
    try:
        with open_image(path) as image:
            exif = image.getexif()
            exif.get_ifd(0x8769)
            exif.get_ifd(0x8825)
            return exif
    except DAMAGED:
        exif = Image.Exif()
    content = path.read_bytes()
    if content[2:4] in (b"\0+", b"+\0"):
        return exif
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif.load(content)
    except DAMAGED:
        return Image.Exif()
    return exif


def _plain_xmp(xmp: bytes | str | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Return the XMP of an upright photograph, or none where it describes what is not written, and notes."""
    if not xmp:
        return None, ()
    block = xmp.encode() if isinstance(xmp, str) else xmp
    if OF_APPENDED.search(block):
        return None, ("its gain map, depth map or video is left out, and the XMP that describes it",)
    return TURNED_XMP.sub(rb"\g<1>1", block), ()


def _real(dpi: object) -> tuple[float, float] | None:
    """Return a resolution that means something: both sides finite and above zero."""
    try:
        x, y = (float(value) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
