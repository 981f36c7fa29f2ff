import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.images.photo import read_photo
from unblur.images.png import read_png

KINDS = {0: 1, 2: 3, 4: 2, 6: 4}  # of pixels -> channels


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rows, bits, kind, *chunks):
    """A PNG of unfiltered rows, (H, bytes)."""
    width = rows.shape[1] * 8 // (bits * KINDS[kind])
    header = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    raw = np.hstack([np.zeros((len(rows), 1), np.uint8), rows]).tobytes()
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(("kind", "bits"), [*((0, bits) for bits in (1, 2, 4, 8, 16)), (2, 8), (2, 16)])
def test_a_transparent_colour_becomes_alpha(kind, bits, tmp_path):
    """imagecodecs (libpng's own expansion) as the second reader."""
    rows = np.random.default_rng(0).integers(0, 256, (9, 48), dtype=np.uint8)
    first = rows[0, : KINDS[kind] * bits // 8].tobytes()
    colour = first if bits == 16 else b"".join(bytes((0, each)) for each in first) or b"\0\1"
    content = png(rows, bits, kind, chunk(b"tRNS", colour))
    (tmp_path / "a.png").write_bytes(content)
    found, wanted = read_png(tmp_path / "a.png"), imagecodecs.png_decode(content)
    np.testing.assert_array_equal(np.dstack([found.colour, found.alpha]), wanted)
    assert (found.alpha == 0).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [8, 16])
def test_every_part_is_needed(kind, bits, tmp_path, capfd):
    """And what is missing is told by the error alone: OpenCV says nothing on the terminal."""
    content = png(np.zeros((20, KINDS[kind] * bits), np.uint8), bits, kind)
    for length in (40, len(content) // 2, len(content) - 13, len(content) - 1):
        (tmp_path / "a.png").write_bytes(content[:length])
        with pytest.raises(ValueError, match="parts of the picture are missing"):
            read_png(tmp_path / "a.png")
    damaged = bytearray(content)
    damaged[content.index(b"IDAT") + 8] ^= 1
    (tmp_path / "a.png").write_bytes(damaged)
    with pytest.raises(UnblurError, match="the checksum of its IDAT does not hold"):
        read_photo(tmp_path / "a.png")
    assert capfd.readouterr().err == ""
