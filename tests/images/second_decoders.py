"""Decoders that unblur does not read these files with, each a second opinion for the table of formats.

Each takes a path and the number of channels that are expected, and returns (H, W, C), colours before alpha, or raises.
"""

import importlib.util
import re

import av
import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image


def pillow(path, channels):
    """Decode to 8 bits; grey PGM of more to 16."""
    with Image.open(path) as image:
        mode = "I" if image.mode.startswith("I") else {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        return deep(np.asarray(image.convert(mode)))


def opencv(path, channels):
    found = deep(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    return found[..., [2, 1, 0, 3][: found.shape[2]]] if found.shape[2] > 2 else found


def png(path, channels):
    """libpng, in imagecodecs."""
    return deep(imagecodecs.png_decode(path.read_bytes()))


def ffmpeg(path, channels):
    """Read Netpbm, AVIF and HEIC, whose transparency is a second stream, padded to whole blocks."""
    planes = []
    with av.open(str(path)) as container:
        streams = len(container.streams.video)
    for index in range(streams):
        with av.open(str(path)) as container:
            planes.append(deep(next(container.decode(video=index)).to_ndarray()))
    return np.dstack(planes)


def libtiff(path, channels):
    """libtiff, in imagecodecs: values as they are stored. Inks are called RGB first, as it would show their light."""
    content = path.read_bytes()
    if channels == 4:
        with tifffile.TiffFile(path) as file:
            tag = file.pages.first.tags["PhotometricInterpretation"]
        if tag.value == tifffile.PHOTOMETRIC.SEPARATED:
            two = (2).to_bytes(2, "little" if content[:2] == b"II" else "big")
            content = content[: tag.valueoffset] + two + content[tag.valueoffset + 2 :]
    found = imagecodecs.tiff_decode(content)
    return np.moveaxis(found, 0, -1) if found.ndim == 3 and found.shape[0] < 5 else deep(found)


def libvips(path, channels):
    import pyvips

    pyvips.cache_set_max(0)  # it remembers files by name
    return deep(pyvips.Image.new_from_file(str(path)).numpy())


DECODERS = {"Pillow": pillow, "OpenCV": opencv, "libpng": png, "FFmpeg": ffmpeg, "libtiff": libtiff}
if importlib.util.find_spec("pyvips"):  # no dependency: pip install 'pyvips[binary]', to write the table
    DECODERS["libvips"] = libvips
READS = {
    "Pillow": r"tiff?|png|pgm|ppm|bmp|webp|avif|jpg",
    "OpenCV": r"tiff?|png|bmp|webp|avif",
    "libpng": r"png",
    "FFmpeg": r"pgm|ppm|avif|heic",
    "libvips": r"tiff?|png|webp|avif",
    "libtiff": r"tiff?",
}


def agreeing(path, kind, truth, stored):
    """Return the names of those that read the file to its light `truth` (H, W, C), and to its `stored` values.

    Where a file has fewer bits than the type that it is decoded to, a decoder may scale them to all of the type or not:
    10 bits may end at 65535, at 1023, or at 1023 * 64.
    """
    bits = int(found[1]) if (found := re.search(r"\b(\d+) bits?\b", kind)) else 8 * truth.dtype.itemsize
    white = re.search(r"white is (\d+)", kind)
    top = int(white[1]) if white else 2**bits - 1
    names = [name for name in DECODERS if re.fullmatch(READS[name], path.suffix[1:])]
    return [
        [name for name in names if wanted is not None and agrees(_read(DECODERS[name], path, wanted), wanted, top)]
        for wanted in (truth, stored)
    ]


def agrees(found, wanted, top):
    """Tell whether values are the same within 1, scaled as they may be."""
    if found is None or found.shape != wanted.shape or not np.issubdtype(found.dtype, np.integer):
        return False
    found, white = found.astype(np.int64), np.iinfo(wanted.dtype).max
    left = white.bit_length() - top.bit_length()
    scaled = [found, (found * white + top // 2) // top, ((found >> left) * white + top // 2) // top]
    return any(np.abs(values - wanted).max() <= 1 for values in scaled)


def deep(found):
    return found.reshape(*found.shape[:2], -1)


def _read(decode, path, wanted):
    try:
        found = decode(path, wanted.shape[2])
    except Exception:  # of many libraries; each refuses in its own way
        return None
    height, width = wanted.shape[:2]
    return found[:height, :width] if path.suffix == ".heic" else found
