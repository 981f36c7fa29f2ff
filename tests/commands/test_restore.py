"""`unblur restore` as a real process, on an ONNX model made here: a box blur over 3 x 3 pixels."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import pytest
from omegaconf import OmegaConf
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy.ndimage import uniform_filter

from unblur.config.instantiate import instantiate
from unblur.training.weights import save_model


@pytest.fixture
def model(tmp_path):
    kernel = np.full((3, 1, 3, 3), 1 / 9, np.float32)
    image = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("blur", "restored")
    ]
    node = helper.make_node("Conv", ["blur", "kernel"], ["restored"], group=3, pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "box", image[:1], image[1:], [numpy_helper.from_array(kernel, "kernel")])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "box.onnx"
    )
    return tmp_path / "box.onnx"


def restore(*arguments, cwd=None):
    command = [sys.executable, "-m", "unblur.commands.restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def boxed(pixels):
    """The expected result, (H, W) or (H, W, 3) uint8."""
    sizes = (3, 3, 1)[: pixels.ndim]
    return np.rint(uniform_filter(pixels.astype(np.float64), sizes, mode="constant"))


def fake_png(width, height):
    """A PNG whose header promises a size that its few bytes do not hold."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b""), b"IEND"]
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("empty", ["IN", "OUT"])
def test_an_empty_path_is_not_the_folder_that_one_is_in(tmp_path, make_photo, empty):
    Image.fromarray(make_photo(30, 40)).save(tmp_path / "a.png")
    done = restore("" if empty == "IN" else "a.png", "" if empty == "OUT" else "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "an empty path; expected a file or folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_photograph_in_tiles(model, tmp_path, make_photo):
    photo = make_photo(150, 210)
    Image.fromarray(photo).save(tmp_path / "in.png")
    done = restore(
        tmp_path / "in.png",
        tmp_path / "out.png",
        "--model",
        model,
        "--tile",
        64,
        "--overlap",
        16,
        "--batch",
        3,
        "--compare",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "What next?" in done.stdout
    restored = np.asarray(Image.open(tmp_path / "out.png"))
    assert np.abs(restored - boxed(photo)).max() <= 1  # a mean that ends in .5 may be rounded either way
    assert Image.open(tmp_path / "out.png.compare.png").size == (2 * 210 + 8, 150)


def test_a_folder_of_every_kind_with_broken_files_among_them(model, tmp_path, make_photo):
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    rgb = make_photo(40, 64)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(folder / "turned.jpg", exif=exif, quality=100, subsampling=0)
    Image.fromarray(rgb[..., 0]).save(folder / "grey.png")
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(folder / "rgba.png")
    Image.fromarray(rgb).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(rgb[:1, :1]).save(folder / "one.webp", lossless=True)
    cv2.imwrite(str(folder / "deep/sixteen.png"), rgb[..., ::-1].astype(np.uint16) * 257)
    whole = (folder / "rgba.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not a photograph")
    (folder / "huge.png").write_bytes(fake_png(100_000, 100_000))

    done = restore(folder, out, "--model", model, "--precision", "f32")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    for name, reason in {
        "cut.png": "truncated or damaged",
        "empty.png": "empty",
        "text.jpg": "not a picture",
        "huge.png": "megapixels",
    }.items():
        assert [line for line in errors if name in line and reason in line], (name, lines)
    assert len(errors) == 4
    assert [line for line in lines if line not in errors] == [f"note: {folder / 'cmyk.jpg'}: CMYK becomes RGB"]

    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("[!.]*") if path.is_file())
    assert written == ["cmyk.jpg", "deep/sixteen.png", "grey.png", "one.webp", "rgba.png", "turned.jpg"]
    turned = Image.open(out / "turned.jpg")
    assert turned.size == (40, 64)
    assert turned.getexif()[0x0112] == 1
    assert np.abs(np.asarray(turned) - boxed(np.rot90(rgb, -1))).mean() < 4
    assert np.abs(np.asarray(Image.open(out / "grey.png")) - boxed(rgb[..., 0])).max() <= 1
    rgba = np.asarray(Image.open(out / "rgba.png"))
    np.testing.assert_array_equal(rgba[..., 3], rgb[..., 0])
    assert np.abs(rgba[..., :3] - boxed(rgb)).max() <= 1
    deep = cv2.imread(str(out / "deep/sixteen.png"), cv2.IMREAD_UNCHANGED)
    assert deep.dtype == np.uint16
    expected = uniform_filter(rgb.astype(np.float64) * 257, (3, 3, 1), mode="constant")
    assert np.abs(deep[..., ::-1] - expected).max() <= 1


def test_done_is_decided_by_content_model_and_options(model, tmp_path, make_photo):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(make_photo(20, 20)).save(folder / name)
    (folder / "c.cr3").touch()
    done = restore(folder, out, "--model", model)
    assert done.returncode == 0
    assert "left out: 1 .cr3" in done.stdout
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}

    Image.fromarray(make_photo(20, 20, 1)).save(folder / "b.png")
    os.utime(folder / "b.png", (1, 1))  # another photograph, older than what was made of the first
    assert restore(folder, out, "--model", model).returncode == 0
    assert (out / "a.png").stat().st_mtime_ns == times["a.png"]
    assert np.abs(np.asarray(Image.open(out / "b.png")) - boxed(make_photo(20, 20, 1))).max() <= 1
    assert "nothing to do: 2 done already" in restore(folder, out, "--model", model).stdout
    assert "nothing to do" not in restore(folder, out, "--model", model, "--tile", "256").stdout


def test_photographs_on_the_command_line_are_never_written(model, tmp_path, make_photo):
    files = [tmp_path / f"{number}.png" for number in (1, 2)]
    for seed, file in enumerate(files):
        Image.fromarray(make_photo(20, 20, seed)).save(file)
    os.utime(files[1], (1, 1))
    before = files[1].read_bytes()
    done = restore(*files, "--model", model)
    assert done.returncode == 1
    assert "2.png: is there already, and unblur did not write it" in done.stderr
    assert files[1].read_bytes() == before
    assert restore(*files, f"{tmp_path}/v1.5/", "--model", model).returncode == 0
    assert sorted(path.name for path in (tmp_path / "v1.5").glob("*.png")) == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["empty", "out"], 1, "the folder has no photographs"),
        (["nowhere.png", "out"], 1, "there is no such file or folder"),
        (["a.png", "a.png"], 2, "would overwrite the photograph itself"),
        (["a.png", "b.cr3"], 2, ".cr3 is no format"),
        (["a.png", "b.png", "--tile", "100", "--overlap", "90"], 2, "try tile 512 and overlap 64"),
        (
            ["a.png", "b.png", "--max-megapixels", "inf"],
            2,
            "a limit of inf megapixels: expected a finite number above 0",
        ),
        (
            ["a.png", "b.png", "--max-megapixels", "nan"],
            2,
            "a limit of nan megapixels: expected a finite number above 0",
        ),
        (["a.png", "b.png", "--batch", "0"], 2, "--batch 0: expected at least 1 tile"),
        (["a.png", "b.png", "--model", "none.onnx"], 1, "none.onnx: no such model"),
    ],
)
def test_mistakes_are_one_line_with_their_exit_code(arguments, code, words, tmp_path, make_photo, monkeypatch):
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "empty").mkdir()
    Image.fromarray(make_photo(20, 20)).save(tmp_path / "a.png")
    done = restore(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "empty"]


def test_a_folder_that_cannot_be_listed_is_told_and_ends_with_exit_code_1(model, tmp_path, make_photo):
    (tmp_path / "in/locked").mkdir(parents=True)
    Image.fromarray(make_photo(20, 20)).save(tmp_path / "in/a.png")
    program = """
import os
scandir = os.scandir
def refusing(path):
    if str(path).endswith("locked"):  # no mode keeps root out
        raise PermissionError(13, "Permission denied", str(path))
    return scandir(path)
os.scandir = refusing
from unblur.commands.restore import main
main()
"""
    command = [sys.executable, "-c", program, "in", "out", "--model", str(model)]
    for told in ("restored", "nothing to do: 1 done already"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "error: in/locked: cannot be listed (Permission denied); change its owner or mode, or move it away"
        ]
        assert told in done.stdout
        assert "left out: 1 folders that cannot be listed" in done.stdout
        assert (tmp_path / "out/a.png").is_file()


def test_damaged_exif_is_kept_without_a_remark_of_pillow(model, tmp_path, make_photo):
    Image.fromarray(make_photo(48, 64)).save(tmp_path / "in.jpg")
    content = (tmp_path / "in.jpg").read_bytes()
    exif = b"Exif\0\0II*\0" + b"\xff" * 18
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "in.jpg").write_bytes(content[:2] + segment + content[2:])
    done = restore(tmp_path / "in.jpg", tmp_path / "out.jpg", "--model", model)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert exif in (tmp_path / "out.jpg").read_bytes()


def test_an_onnx_model_needs_no_heavy_import(model, tmp_path, make_photo):
    Image.fromarray(make_photo(20, 20)).save(tmp_path / "a.png")
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "unblur.commands.restore",
        "a.png",
        "b.png",
        "--model",
        str(model),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "onnxruntime" in imported
    assert not imported & {"torch", "mlflow", "lightning", "albumentations", "skimage", "hydra", "matplotlib"}
    assert (Path(tmp_path) / "b.png").is_file()


def test_a_video_frame_by_frame_with_a_model_for_images(model, tmp_path, make_video, make_photo):
    frames = [make_photo(48, 64, seed) for seed in range(5)]
    source = make_video(tmp_path / "in.mkv", frames)
    done = restore(source, tmp_path / "out.mkv", "--model", model)
    assert done.returncode == 0, done.stderr
    assert "5/5" in done.stdout
    with av.open(str(tmp_path / "out.mkv")) as clip:
        restored = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    for frame, sharp in zip(restored, frames, strict=True):
        assert np.abs(frame.mean(axis=2) - boxed(sharp).mean(axis=2)).mean() < 4  # H.264, half the colours
    again = restore(source, tmp_path / "out.mkv", "--model", model)
    assert "nothing to do" in again.stdout
    (tmp_path / "mine.mkv").write_bytes(b"mine")
    refused = restore(source, tmp_path / "mine.mkv", "--model", model)
    assert refused.returncode == 1
    assert "mine.mkv: is there already, and unblur did not write it" in refused.stderr
    assert (tmp_path / "mine.mkv").read_bytes() == b"mine"
    folder = restore(source, tmp_path, "--model", model)
    assert folder.returncode == 2
    assert "is a folder; name the file" in folder.stderr


def test_a_truncated_video_is_told_and_the_rest_is_there(model, tmp_path, make_video, make_photo):
    source = make_video(tmp_path / "in.avi", [make_photo(48, 64, seed) for seed in range(20)], "mpeg4", "yuv420p")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    done = restore(source, tmp_path / "out.mkv", "--model", model)
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out.mkv").is_file() == (done.returncode in {0, 1} and "frames" in done.stdout)


def test_a_burst_needs_a_burst_model(model, tmp_path, make_photo):
    for name in "ab":
        (tmp_path / "shots").mkdir(exist_ok=True)
        Image.fromarray(make_photo(32, 32)).save(tmp_path / "shots" / f"{name}.png")
        (tmp_path / "shots" / f"._{name}.png").write_bytes(b"as another system leaves them")
    done = restore("--burst", tmp_path / "shots", tmp_path / "out.png", "--model", model)
    assert done.returncode == 1
    assert "restores images, not bursts" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_burst_with_its_own_network_never_touches_the_shots(tmp_path, make_photo):
    config = {"_target_": "unblur.networks.burst.BurstNet", "width": 8, "encoder_blocks": [1], "decoder_blocks": [1]}
    save_model(instantiate(OmegaConf.create(config)), config, tmp_path / "net")
    (tmp_path / "shots").mkdir()
    for number, size in enumerate([(48, 64), (48, 64), (40, 64)]):
        Image.fromarray(make_photo(*size, number)).save(tmp_path / "shots" / f"{number}.png")
    before = (tmp_path / "shots" / "0.png").read_bytes()
    arguments = ("--burst", tmp_path / "shots", "--model", tmp_path / "net")
    done = restore(*arguments, tmp_path / "new" / "out.png")
    assert done.returncode == 1
    assert done.stderr.strip().count("error:") == 1
    assert "2.png: 64 x 40 uint8, the reference has 64 x 48 uint8" in done.stderr
    with Image.open(tmp_path / "new" / "out.png") as restored:
        assert np.array_equal(np.asarray(restored), make_photo(48, 64, 0))  # a new network returns its reference
    assert "nothing to do" in restore(*arguments, tmp_path / "new" / "out.png").stdout
    done = restore(*arguments, "--overwrite", tmp_path / "shots" / "0.png")
    assert done.returncode == 2
    assert "lies among the shots" in done.stderr
    see_through = Image.fromarray(make_photo(48, 64, 0)).convert("RGBA")
    see_through.putalpha(90)
    see_through.save(tmp_path / "shots" / "0a.png")
    done = restore(*arguments, "--reference", "0a.png", tmp_path / "new" / "out.jpg")
    assert "JPEG cannot hold the transparency of the source" in done.stderr
    assert "0/" not in done.stdout  # before anything was computed
    assert (tmp_path / "shots" / "0.png").read_bytes() == before
