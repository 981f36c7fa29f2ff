"""A photograph as it is written back: pixels, depth, transparency and metadata, as far as the format holds them."""

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from unblur.config.extras import install
from unblur.errors import UnblurError
from unblur.images.channels import Values, eight_bit
from unblur.images.header import DAMAGED
from unblur.images.heif import OF_HEIC, SUFFIXES
from unblur.images.photo import Photo
from unblur.restoring.png import write_png
from unblur.restoring.tiff import write_tiff
from unblur.safety.atomic import replacing

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
FORMATS |= SUFFIXES
LONGEST_SIDE = {
    "JPEG": 65_500,
    "WEBP": 16_383,
    "AVIF": 65_535,
    "HEIF": 16_384,
}  # what the formats (JPEG: its library) can hold
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95, "exact": True},  # exact: colours below full transparency stay
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
}
NOTHING: dict[str, Any] = {"exif": None, "icc": None, "xmp": None, "iptc": None, "dpi": None, "colour": (), "texts": ()}
NAMES = {
    "exif": "EXIF",
    "icc": "colour profile",
    "xmp": "XMP",
    "iptc": "IPTC",
    "dpi": "resolution",
    "colour": "note of how its values become light (gAMA, cHRM or cICP)",
    "texts": "text",
}
HELD = {  # metadata that there is a place for
    "JPEG": ("exif", "icc", "xmp", "iptc", "dpi", "texts"),
    "PNG": ("exif", "icc", "xmp", "iptc", "dpi", "colour", "texts"),
    "WEBP": ("exif", "icc", "xmp"),
    "TIFF": ("exif", "icc", "xmp", "iptc", "dpi"),
    "AVIF": ("exif", "icc", "xmp"),
    "HEIF": ("exif", "icc", "xmp"),
}
MOST_BITS = {"JPEG": 8, "WEBP": 8, "AVIF": 8}  # that are written
SRGB = ((b"sRGB", None), (b"gAMA", struct.pack(">I", 45455)), (b"cICP", bytes((1, 13, 0, 1))))


def check_target(photo: Photo, path: Path) -> tuple[str, ...]:
    """Say what the target's format cannot hold, as notes; to be asked before the work is done.

    Each piece of metadata is written to memory with a single pixel: what fails there is left out with a note, so that
    nothing fails after the work.

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
    notes = _fitting(photo, kind)[1]
    most = _heic_bits(photo) if kind == "HEIF" else MOST_BITS.get(kind, 16)
    if photo.pixels.dtype == np.uint16 and photo.bits > most:
        return (
            f"{photo.bits} bits become {most}: {kind} {'holds' if most == 8 else 'is written with'} no more",
            *notes,
        )
    return notes


def output_format(path: Path) -> str:
    """Return JPEG, PNG, WEBP, TIFF, AVIF or HEIF for the path's suffix.

    Raises:
        UnblurError: another suffix.
    """
    if path.suffix.lower() not in FORMATS:
        raise UnblurError(not_written(path))
    return FORMATS[path.suffix.lower()]


def not_written(path: Path) -> str:
    """Say in a line why the format of the path's suffix cannot be written."""
    if path.suffix.lower() in OF_HEIC:
        return f"{path}: HEIC is written with pillow-heif, which is not installed: {install('pillow_heif')}"
    return f"{path}: {path.suffix or 'no suffix'} is no format that can be written; expected {', '.join(FORMATS)}"


def write_photo(photo: Photo, path: Path) -> None:
    """Write a photograph in the format of the path's suffix, whole or not at all; missing folders are made.

    JPEG, WebP and HEIC have quality 95, AVIF 90, JPEG the source's chroma subsampling; PNG and TIFF keep 16 bits, HEIC
    10, or 12 of a source with 12: fewer programs read those.

    Raises:
        UnblurError: see `check_target`; or the place or the metadata cannot be written.
    """
    check_target(photo, path)
    kind = output_format(path)
    fitting, _ = _fitting(photo, kind)
    try:
        with replacing(path) as unfinished, unfinished.open("wb") as stream:
            _write(fitting, stream, kind)
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path}: cannot be written ({reason})"
        raise UnblurError(msg) from error


def _fitting(photo: Photo, kind: str) -> tuple[Photo, tuple[str, ...]]:
    """Return the photograph without the metadata that a format cannot hold, and notes of what that is."""
    dot = replace(photo, pixels=photo.pixels[:1, :1], alpha=None, notes=(), **NOTHING)
    notes = []
    for field, nothing in NOTHING.items():
        content = getattr(photo, field)
        if not content:
            continue
        if field in HELD[kind]:
            try:
                _write(replace(dot, **{field: content}), io.BytesIO(), kind)
            except DAMAGED as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                notes.append(f"its {NAMES[field]} cannot be written to {kind} and is left out ({reason})")
                photo = replace(photo, **{field: nothing})
        else:
            if field != "dpi" and not (field == "colour" and _is_srgb(photo)):
                notes.append(f"its {NAMES[field]} is left out: {kind} has no place for it")
            photo = replace(photo, **{field: nothing})
    if kind == "JPEG" and photo.texts and [keyword for keyword, _ in photo.texts] != ["Comment"]:
        notes.append("its text is left out but for a comment: JPEG has no place for it")
    return photo, tuple(notes)


def _is_srgb(photo: Photo) -> bool:
    """Say whether a PNG's chunks say no more than what is taken for granted, or are overruled by a profile."""
    told = dict(photo.colour)
    if b"cICP" not in told and (photo.icc or b"sRGB" in told):
        return True
    return all(name not in told or told[name] == usual for name, usual in SRGB if usual) and not told.keys() & {b"mDCV"}


def _write(photo: Photo, stream: BinaryIO, kind: str) -> None:
    if kind == "PNG":
        write_png(stream, _channels(photo), photo)
        return
    if kind == "TIFF":
        write_tiff(stream, _channels(photo), photo)
        return
    if kind == "HEIF":
        _write_heic(stream, photo)
        return
    options = {"exif": photo.exif, "icc_profile": photo.icc, "xmp": photo.xmp, "dpi": photo.dpi, **OPTIONS[kind]}
    if kind == "JPEG":
        photo = replace(photo, alpha=None)
        options["subsampling"] = photo.subsampling
        options["comment"] = dict(photo.texts).get("Comment")
        options["extra"] = _photoshop(photo.iptc) if photo.iptc else None
    pixels = eight_bit(_channels(photo))
    Image.fromarray(pixels).save(stream, kind, **{k: v for k, v in options.items() if v is not None})


def _heic_bits(photo: Photo) -> int:
    return 12 if photo.bits == 12 else 10


def _write_heic(stream: BinaryIO, photo: Photo) -> None:
    import pillow_heif

    channels = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    mode = ("RGB" if photo.alpha is None else "RGBA") + (";16" if channels.dtype == np.uint16 else "")
    height, width = channels.shape[:2]
    whole = pillow_heif.from_bytes(mode, (width, height), np.ascontiguousarray(channels).tobytes())
    about: dict[str, Any] = whole[0].info
    if channels.dtype == np.uint16:
        about["bit_depth"] = _heic_bits(photo)
    if photo.icc:
        about |= {"icc_profile": photo.icc, "icc_profile_type": "prof"}
    whole.save(stream, exif=photo.exif, xmp=photo.xmp, **OPTIONS["HEIF"])


def _photoshop(iptc: bytes) -> bytes:
    """Wrap IPTC as JPEG holds it: a resource of Photoshop in an APP13 segment."""
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def _channels(photo: Photo) -> Values:
    """Put the file's channels together: (H, W) for grey, (H, W, 2 to 4) else."""
    colour: Values = photo.pixels
    if photo.grey:  # the network's three answers to three equal channels may differ a little
        colour = np.rint(photo.pixels.mean(axis=2, dtype=np.float32)).astype(photo.pixels.dtype)
    if photo.alpha is None:
        return colour
    return np.dstack([colour, photo.alpha])
