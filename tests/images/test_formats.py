"""What other programs write is read as they meant it; docs/formats.md is the table that this file writes.

Each row is a kind of picture in every layout that its writer knows. The truth is the array that was written; decoders
that unblur does not read it with (second_decoders.py) get the same file. `python tests/images/test_formats.py` writes
the table.
"""

import importlib.util
import io
import itertools
import re
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from unblur.errors import UnblurError
from unblur.images.photo import read_photo

spec = importlib.util.spec_from_file_location("second_decoders", Path(__file__).with_name("second_decoders.py"))
second_decoders = importlib.util.module_from_spec(spec)
spec.loader.exec_module(second_decoders)

TABLE = Path(__file__).parents[2] / "docs" / "formats.md"
HEAD = """# Formats that are read

Each row is a kind of picture, written in every layout named; "files" is their number. The truth is what was written;
of a JPEG, which loses values, what imagecodecs decodes. Exact: every value is the same; refused: an error of one line
names the kind. Orientation is applied to all.

Other decoders read the same files to the same light (within 1), or, where that is something else, to the same values as
they are stored; with the number of files on which one agrees, where it is not all of them. "Agree" is the number on
which at least one does. The rest they do not read, or read otherwise: Pillow no tiles of planes, and of colours of 16
bits only the upper 8; OpenCV no planes of 16 bits apart, nor what white is zero means; libvips no tiles of planes
apart, no 10, 12 or 14 bits, no Netpbm, zstd, lzma; FFmpeg gets Netpbm, AVIF and HEIC alone; libtiff tells what is
stored, not what it means. But for Pillow all hand on a channel that is unspecified, where unblur leaves it out.

Written by `python tests/images/test_formats.py`, with libvips where pyvips is installed; checked by the tests.

| kind | layouts | files | result | the same light | the same stored values | agree |
|---|---|---|---|---|---|---|
"""
LAYOUTS = "strips and tiles, both byte orders, TIFF and BigTIFF, planes interleaved or not; raw, Deflate, LZW, PackBits"
RNG = np.random.default_rng(0)


def values(samples, depth, top=None):
    top = top or np.iinfo(depth).max
    return RNG.integers(0, top + 1, (21, 35, samples)).astype(depth)


def colour_with_alpha(depth, meaning):
    """RGB and its alpha; premultiplied as it is stored if associated."""
    colour, alpha = values(3, depth), values(1, depth)
    if meaning != 1:
        return colour, alpha, np.dstack([colour, alpha])
    top = np.iinfo(depth).max
    alpha = np.maximum(alpha, top // 2)
    stored = np.rint(colour * (alpha / top)).astype(depth)
    straight = np.minimum(np.floor(stored * float(top) / alpha + 0.5), top).astype(depth)
    return straight, alpha, np.dstack([stored, alpha])


def tiff_layouts(samples):
    for planes, big, order, tile, (compression, predictor) in itertools.product(
        ("contig", "separate") if samples > 1 else (None,),
        (False, True),
        "<>",
        (None, (16, 16)),
        ((None, False), ("zlib", False), ("zlib", True), ("lzw", False), ("lzw", True), ("packbits", False)),
    ):
        yield {
            "planarconfig": planes,
            "bigtiff": big,
            "byteorder": order,
            "tile": tile,
            "compression": compression,
            "predictor": predictor,
        }


def write_tiff(path, stored, photometric, extra, layout, **more):
    if layout["planarconfig"] == "separate":
        stored = np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    elif stored.shape[-1] == 1:
        stored = stored[..., 0]
    tifffile.imwrite(path, stored, photometric=photometric, extrasamples=extra, metadata=None, **layout, **more)


def tiff_kinds():
    """Yield (kind, photometric, extra samples, stored, colour, alpha)."""
    for depth in (np.uint8, np.uint16):
        bits, top = np.iinfo(depth).bits, np.iinfo(depth).max
        grey = values(1, depth)
        yield f"TIFF grey, {bits} bits", "minisblack", None, grey, grey, None
        yield f"TIFF grey, white is zero, {bits} bits", "miniswhite", None, top - grey, grey, None
        rgb = values(3, depth)
        yield f"TIFF RGB, {bits} bits", "rgb", None, rgb, rgb, None
        for meaning, name in enumerate(("an unspecified channel", "associated alpha", "unassociated alpha")):
            colour, alpha, stored = colour_with_alpha(depth, meaning)
            yield f"TIFF RGB and {name}, {bits} bits", "rgb", [meaning], stored, colour, alpha if meaning else None
        inks = values(4, np.uint8)
        light = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
        yield f"TIFF CMYK, {bits} bits", "separated", None, inks.astype(depth) * (top // 255), light, None


def outcome(path, colour, alpha):
    """Return what reading gives: exact, refused, or how wrong it is."""
    try:
        photo = read_photo(path)
    except UnblurError as error:
        return "refused" if "\n" not in str(error) else "apart: more than one line"
    wanted = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
    if (
        photo.pixels.dtype != wanted.dtype
        or photo.pixels.shape != wanted.shape
        or (photo.alpha is None) != (alpha is None)
    ):
        return f"{photo.pixels.dtype} {photo.pixels.shape}"
    apart = int(np.abs(photo.pixels.astype(int) - wanted).max())
    if alpha is not None:
        apart = max(apart, int(np.abs(photo.alpha.astype(int) - alpha[..., 0]).max()))
    return "exact" if apart == 0 else f"{apart} apart"


def row(kind, layouts, files):
    """Judge files, an iterator of (path, colour, alpha, stored), and return the table's row."""
    results, light, values_too, agree = Counter(), Counter(), Counter(), 0
    for path, colour, alpha, stored in files:
        result = outcome(path, colour, alpha)
        results[result] += 1
        if result == "refused":
            continue
        truth = colour if alpha is None else np.dstack([colour, alpha])
        other = None if stored is None or np.array_equal(stored, truth) else stored
        found = second_decoders.agreeing(path, kind, truth, other)
        light.update(found[0])
        values_too.update(found[1])
        agree += bool(found[0] or found[1])
    count = sum(results.values())
    result = ", ".join(name if n == count else f"{n} {name}" for name, n in sorted(results.items()))
    others = [", ".join(f"{name} {n}" if n < count else name for name, n in by.items()) for by in (light, values_too)]
    return kind, layouts, str(count), result, *(names or "-" for names in others), str(agree)


def rows(folder):
    path = folder / "a.tif"
    for kind, photometric, extra, stored, colour, alpha in tiff_kinds():

        def files(stored=stored, photometric=photometric, extra=extra, colour=colour, alpha=alpha):
            for layout in tiff_layouts(stored.shape[2]):
                write_tiff(path, stored, photometric, extra, layout)
                yield path, colour, alpha, stored

        yield row(kind, LAYOUTS, files())
    for kind, target, colour, alpha, write, *stored in others(folder):
        write(target)
        yield row(kind, "as its writer writes it", [(target, colour, alpha, stored[0] if stored else None)])


def others(folder):
    """Yield (kind, path, colour, alpha, writer) of single files, and the stored values where these are others."""
    u8, u16 = np.uint8, np.uint16
    for bits in (1, 2, 4):
        grey = values(1, u8, 2**bits - 1)
        shown = (grey * (255 // (2**bits - 1))).astype(u8)
        yield f"PNG grey, {bits} bits", folder / f"g{bits}.png", shown, None, png_of(grey, bits, 0)
    palette = values(3, u8)[0, :16]
    indices = values(1, u8, 15)
    yield "PNG palette, 4 bits", folder / "p.png", palette[indices[..., 0]], None, png_of(indices, 4, 3, palette)
    for depth in (u8, u16):
        bits = np.iinfo(depth).bits
        for samples in (1, 2, 3, 4):
            stored = values(samples, depth)
            colours = samples - (samples % 2 == 0)
            alpha = None if colours == samples else stored[..., -1:]
            kind = f"PNG {('grey', 'grey and alpha', 'RGB', 'RGBA')[samples - 1]}, {bits} bits"
            writer = png_of(stored, bits, {1: 0, 2: 4, 3: 2, 4: 6}[samples])
            yield kind, folder / f"{samples}{bits}.png", stored[..., :colours], alpha, writer
    for top in (100, 255, 1023, 4095, 65535):
        for samples in (1, 3):
            stored = values(samples, u16, top)
            white, depth = (255, u8) if top < 256 else (65535, u16)
            shown = ((stored.astype(int) * white + top // 2) // top).astype(depth)
            name = "PGM" if samples == 1 else "PPM"
            for plain in (False, True):
                kind = f"{name}, {'plain' if plain else 'binary'}, white is {top}"
                target = folder / f"{top}{plain}.{name.lower()}"
                yield kind, target, shown, None, netpbm_of(stored, top, plain)
    colours = values(3, u8)
    yield "BMP RGB", folder / "a.bmp", colours, None, Image.fromarray(colours).save
    rgba = values(4, u8)
    yield (
        "WebP RGBA, lossless",
        folder / "a.webp",
        rgba[..., :3],
        rgba[..., 3:],
        lambda path: Image.fromarray(rgba).save(path, lossless=True, exact=True),
    )
    for bits, samples in itertools.product((8, 10, 12), (3, 4)):
        stored = values(samples, u8 if bits == 8 else u16, 2**bits - 1)
        white, depth = (255, u8) if bits == 8 else (65535, u16)
        top = 2**bits - 1
        shown = ((stored.astype(int) * white + top // 2) // top).astype(depth)
        truth = (shown[..., :3], shown[..., 3:] if samples == 4 else None)
        name = f"{'RGBA' if samples == 4 else 'RGB'}, lossless, {bits} bits"
        yield f"AVIF {name}", folder / "a.avif", *truth, avif_of(stored, bits)
        yield f"HEIC {name}", folder / "a.heic", *truth, heic_of(stored, bits)
    for dtype in (np.float16, np.float32, np.float64, np.uint32, np.int16):
        stored = values(3, u8).astype(dtype)
        kind = f"TIFF RGB, {np.dtype(dtype).name}"
        yield kind, folder / "f.tif", stored, None, tiff_of(stored, "rgb")
    for photometric in ("cielab", "icclab", "itulab", "logluv", "linear_raw", "cfa"):
        stored = values(1 if photometric == "cfa" else 3, u8)
        yield f"TIFF {photometric}", folder / "l.tif", stored, None, tiff_of(stored, photometric)
    yield from jpegs(folder)
    yield from packed_tiffs(folder)
    yield from pillow_tiffs(folder)
    bilevel = values(1, u8, 1)
    shown = bilevel * np.uint8(255)
    yield (
        "TIFF grey, 1 bit",
        folder / "b.tif",
        shown,
        None,
        lambda p: Image.fromarray(shown[..., 0]).convert("1").save(p),
    )
    ycbcr = Image.fromarray(cv2.GaussianBlur(colours, (0, 0), 3)).convert("YCbCr")
    yield "TIFF YCbCr, raw", folder / "y.tif", np.asarray(ycbcr.convert("RGB")), None, ycbcr.save


def smooth(samples):
    """What survives JPEG."""
    return cv2.resize(values(samples, np.uint8)[:5, :7], (56, 40), interpolation=cv2.INTER_LINEAR).reshape(40, 56, -1)


def jpegs(folder):
    """Yield JPEG in each of its colours; of inks the light that Pillow's plain formula makes of them."""
    image, inks = smooth(3), smooth(4)
    for halved, progressive in itertools.product(("4:4:4", "4:2:2", "4:2:0"), (False, True)):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=90, subsampling=halved, progressive=progressive)
        encoded = stream.getvalue()
        kind = f"JPEG YCbCr, {halved}{', progressive' * progressive}"
        yield kind, folder / "a.jpg", imagecodecs.jpeg8_decode(encoded), None, bytes_of(encoded)
    encoded = imagecodecs.jpeg8_encode(image, level=90, outcolorspace="RGB")
    yield "JPEG RGB", folder / "a.jpg", imagecodecs.jpeg8_decode(encoded), None, bytes_of(encoded)
    encoded = imagecodecs.jpeg8_encode(np.ascontiguousarray(image[..., 0]), level=90)
    yield "JPEG grey", folder / "a.jpg", imagecodecs.jpeg8_decode(encoded)[..., None], None, bytes_of(encoded)
    for colours in ("CMYK", "YCCK"):
        encoded = imagecodecs.jpeg8_encode(inks, level=90, colorspace="CMYK", outcolorspace=colours)
        found = 255 - imagecodecs.jpeg8_decode(encoded, outcolorspace="CMYK")  # Adobe's are stored inverted
        light = np.asarray(Image.fromarray(found, "CMYK").convert("RGB"))
        yield f"JPEG {colours}, Adobe's marker", folder / "a.jpg", light, None, bytes_of(encoded)
    encoded = imagecodecs.jpeg8_encode(image.astype(np.uint16) * 16, bitspersample=12)
    yield "JPEG YCbCr, 12 bits", folder / "a.jpg", image, None, bytes_of(encoded)
    encoded = imagecodecs.ljpeg_encode(image[..., 0].astype(np.uint16) * 16, bitspersample=12)
    yield "JPEG grey, lossless, 12 bits", folder / "a.jpg", image[..., :1], None, bytes_of(encoded)


def packed_tiffs(folder):
    """Yield TIFF of fewer bits than a whole byte or two, and palettes."""
    for bits in (2, 4, 10, 12, 14):
        white, depth = (255, np.uint8) if bits < 8 else (65535, np.uint16)
        top = 2**bits - 1
        for name, photometric, samples in (
            ("grey", "minisblack", 1),
            ("grey, white is zero", "miniswhite", 1),
            ("RGB", "rgb", 3),
        ):
            stored = values(samples, depth, top)
            shown = ((stored.astype(int) * white + top // 2) // top).astype(depth)
            shown = white - shown if photometric == "miniswhite" else shown
            kind = f"TIFF {name}, {bits} bits"
            yield kind, folder / "n.tif", shown, None, tiff_of(stored, photometric, bitspersample=bits), stored
    for depth in (np.uint8, np.uint16):
        indices = values(1, depth)[..., 0]
        colours = RNG.integers(0, 65536, (3, np.iinfo(depth).max + 1)).astype(np.uint16)
        shown = (colours >> 8).astype(np.uint8).T[indices]
        write = tiff_of(indices, "palette", colormap=colours)
        yield f"TIFF palette, {np.iinfo(depth).bits} bits", folder / "n.tif", shown, None, write, indices[..., None]
        for meaning, name in ((0, "an unspecified channel"), (2, "unassociated alpha")):
            stored = values(2, depth)
            write = tiff_of(stored, "minisblack", extrasamples=[meaning], planarconfig="contig")
            kind = f"TIFF grey and {name}, {np.iinfo(depth).bits} bits"
            yield kind, folder / "n.tif", stored[..., :1], stored[..., 1:] if meaning else None, write, stored


def pillow_tiffs(folder):
    """Yield TIFF in the compressions that Pillow writes."""
    grey, rgb = values(1, np.uint8), values(3, np.uint8)
    two = (values(1, np.uint8, 1) * 255).astype(np.uint8)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"):
        for name, shown in (("grey", grey), ("RGB", rgb)):
            write = saved(Image.fromarray(shown.squeeze()), compression)
            yield f"TIFF {name} of Pillow, {compression}", folder / "c.tif", shown, None, write
    for compression in ("group3", "group4", "tiff_ccitt"):
        write = saved(Image.fromarray(two[..., 0]).convert("1"), compression)
        yield f"TIFF 1 bit of Pillow, {compression}", folder / "c.tif", two, None, write


def saved(image, compression):
    return lambda path: image.save(path, compression=compression)


def bytes_of(encoded):
    return lambda path: path.write_bytes(encoded)


def tiff_of(stored, photometric, **more):
    return lambda path: tifffile.imwrite(path, stored.squeeze(), photometric=photometric, metadata=None, **more)


def avif_of(stored, bits):
    return lambda path: path.write_bytes(imagecodecs.avif_encode(stored, level=100, bitspersample=bits))


def heic_of(stored, bits):
    mode = {3: "RGB", 4: "RGBA"}[stored.shape[2]] + (f";{bits}" if bits > 8 else "")
    whole = pillow_heif.from_bytes(mode, (stored.shape[1], stored.shape[0]), stored.tobytes())
    return lambda path: whole.save(path, quality=-1, chroma=444, matrix_coefficients=0)


def netpbm_of(stored, top, plain):
    """Write PGM or PPM with numpy alone."""
    magic = {(1, True): 2, (3, True): 3, (1, False): 5, (3, False): 6}[stored.shape[2], plain]
    head = b"P%d\n# made here\n%d %d\n%d\n" % (magic, stored.shape[1], stored.shape[0], top)
    binary = stored.astype(">u2" if top > 255 else np.uint8).tobytes()
    body = " ".join(map(str, stored.ravel())).encode() if plain else binary
    return lambda path: path.write_bytes(head + body)


def png_of(stored, bits, colour_type, palette=None):
    """Write a PNG with numpy and zlib alone."""

    def chunk(name, content):
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    height, width = stored.shape[:2]
    if bits < 8:
        digits = np.unpackbits(stored[..., 0, None].astype(np.uint8), axis=2)[..., 8 - bits :].reshape(height, -1)
        lines = np.packbits(digits, axis=1)
    else:
        lines = stored.astype(">u2" if bits == 16 else np.uint8).reshape(height, -1).view(np.uint8)
    raw = np.hstack([np.zeros((height, 1), np.uint8), lines]).tobytes()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((bits, colour_type, 0, 0, 0))
    parts = [chunk(b"IHDR", header)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette.tobytes()))
    parts += [chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def table(folder):
    return HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows(folder))


def test_every_kind_is_exact_or_refused_as_the_table_says(tmp_path):
    made = table(tmp_path)
    cells = [line.strip("| ").split(" | ") for line in made.splitlines() if re.match(r"\| (?!kind)", line)]
    assert [row for row in cells if row[3] not in ("exact", "refused")] == []
    alone = [row[0] for row in cells if row[3] == "exact" and row[2] != row[-1]]
    assert not alone, f"no other decoder agrees on {alone}"
    # Which decoders agree is their own affair, and may change with their versions.
    told, found = ([line.rsplit("|", 4)[0] for line in text.splitlines()] for text in (TABLE.read_text(), made))
    assert told == found, "docs/formats.md is out of date: run `python tests/images/test_formats.py`"


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg_with_and_without_adobe_s_marker(tmp_path, adobe):
    """With the marker inks are stored inverted, without it they are not (Adobe's Technical Note 5116)."""
    inks = cv2.GaussianBlur(values(4, np.uint8), (0, 0), 4)
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.jpg", quality=95)
    content = (tmp_path / "a.jpg").read_bytes()
    if not adobe:
        start = content.index(b"\xff\xee")
        content = content[:start] + content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") :]
        (tmp_path / "a.jpg").write_bytes(content)
    raw = imagecodecs.jpeg8_decode(content, colorspace="CMYK", outcolorspace="CMYK")
    light = np.asarray(Image.fromarray(255 - raw if adobe else raw, "CMYK").convert("RGB"))
    assert np.abs(read_photo(tmp_path / "a.jpg").pixels.astype(int) - light).max() <= 2


def test_a_tiff_compressed_as_jpeg(tmp_path, make_photo):
    tifffile.imwrite(tmp_path / "a.tif", make_photo(), photometric="rgb", compression="jpeg", metadata=None)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.abs(read_photo(tmp_path / "a.tif").pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() < 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        TABLE.write_text(table(Path(made)), encoding="utf-8")
    sys.exit()
