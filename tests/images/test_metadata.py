"""What describes a photograph is kept in every format that has a place for it, or a note says that it is not."""

import struct
import subprocess
import sys

import pytest
from PIL import Image, PngImagePlugin

from unblur.images.photo import Photo, read_photo
from unblur.restoring.photo import check_target, write_photo

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6" rating="5"/>'


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_xmp_goes_into_every_format_upright(suffix, tmp_path, make_photo):
    Image.fromarray(make_photo(40, 64)).save(tmp_path / "a.jpg", xmp=XMP)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.pixels.shape == (64, 40, 3)  # XMP's orientation counts where EXIF has none
    assert check_target(photo, tmp_path / f"b{suffix}") == ()
    write_photo(photo, tmp_path / f"b{suffix}")
    again = read_photo(tmp_path / f"b{suffix}")
    assert again.xmp == XMP.replace(b'"6"', b'"1"')
    assert again.pixels.shape == (64, 40, 3)


def test_xmp_of_a_gain_map_is_left_out_with_a_note(tmp_path, make_photo):
    Image.fromarray(make_photo(40, 64)).save(tmp_path / "a.jpg", xmp=b'<x hdrgm:Version="1.0"/>')
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.xmp is None
    assert "gain map" in photo.notes[0]


@pytest.mark.parametrize(("suffix", "kept"), [(".jpg", True), (".tiff", True), (".png", True), (".webp", False)])
def test_iptc(suffix, kept, tmp_path, make_photo):
    photo = Photo(make_photo(40, 64), iptc=b"\x1c\x02\x05\0\x05Title")
    assert check_target(photo, tmp_path / f"b{suffix}") == (
        () if kept else ("its IPTC is left out: WEBP has no place for it",)
    )
    write_photo(photo, tmp_path / f"b{suffix}")
    assert read_photo(tmp_path / f"b{suffix}").iptc == (photo.iptc if kept else None)


def test_exif_as_text_of_a_png_and_its_other_texts(tmp_path, make_photo):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    raw = exif.tobytes()
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(raw):8d}\n{raw.hex()}\n", zip=True)
    info.add_text("Title", "Tür")
    Image.fromarray(make_photo(40, 64)).save(tmp_path / "a.png", pnginfo=info)
    write_photo(read_photo(tmp_path / "a.png"), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert image.getexif()[0x010F] == "Maker"
        assert image.text["Title"] == "Tür"
    notes = check_target(read_photo(tmp_path / "a.png"), tmp_path / "b.webp")
    assert notes == ("its text is left out: WEBP has no place for it",)


@pytest.mark.parametrize(("name", "content"), [(b"gAMA", struct.pack(">I", 100000)), (b"cICP", bytes((9, 16, 0, 1)))])
def test_how_a_png_becomes_light_is_kept_or_told(name, content, tmp_path, make_photo):
    photo = Photo(make_photo(40, 64), colour=((name, content),))
    write_photo(photo, tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").colour == photo.colour
    assert "how its values become light" in check_target(photo, tmp_path / "a.jpg")[0]
    assert not check_target(Photo(photo.pixels, colour=((b"gAMA", struct.pack(">I", 45455)),)), tmp_path / "a.jpg")


def test_metadata_that_cannot_be_written_is_told_before_the_work(tmp_path, make_photo):
    photo = Photo(make_photo(40, 64), exif=b"Exif\0\0" + bytes(70_000), xmp=bytes(70_000))
    notes = check_target(photo, tmp_path / "a.jpg")
    assert [note.split(" cannot")[0] for note in notes] == ["its EXIF", "its XMP"]
    write_photo(photo, tmp_path / "a.jpg")


@pytest.mark.parametrize("fraction", [(0, 0), (1, 0), (0, 1)])
def test_a_resolution_without_meaning_is_no_resolution(fraction, tmp_path, make_photo):
    Image.fromarray(make_photo(40, 64)).save(tmp_path / "a.tif", dpi=(72, 72))
    content = (tmp_path / "a.tif").read_bytes().replace(struct.pack("<II", 72, 1), struct.pack("<II", *fraction))
    (tmp_path / "a.tif").write_bytes(content)
    photo = read_photo(tmp_path / "a.tif")
    assert photo.dpi is None
    for suffix in (".png", ".jpg", ".tif"):
        write_photo(photo, tmp_path / f"b{suffix}")


def test_what_pillow_remarks_is_not_on_the_terminal(box_onnx, tmp_path, make_photo):
    """In processes of their own, as pytest sets its own filters; Pillow alone does remark on this photograph."""
    exif = Image.Exif()
    exif[0x010F] = "Maker" * 20
    block = bytearray(exif.tobytes())
    length = block.index(b"\x01\x0f\x00\x02") + 4
    block[length : length + 4] = struct.pack(">I", 1 << 20)
    photo = tmp_path / "a.jpg"
    Image.fromarray(make_photo(40, 64)).save(photo, exif=bytes(block))
    model = str(box_onnx())
    programs = {
        "Pillow": ["-c", f"from PIL import Image; Image.open({str(photo)!r}).getexif().get(271)"],
        "library": ["-c", f"import unblur; unblur.restore({str(photo)!r}, {str(tmp_path / 'b.jpg')!r}, {model!r})"],
        "model": ["-c", f"import unblur; unblur.load({model!r})({str(photo)!r})"],
        "command": ["-m", "unblur.commands.restore", str(photo), str(tmp_path / "c.jpg"), "--model", model],
    }
    for name, arguments in programs.items():
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
        assert ("UserWarning" in done.stderr) == (name == "Pillow"), done.stderr
