"""`import unblur` in a program, against the commands: on an ONNX model that blurs over 3 x 3 pixels."""

import errno
import os
import subprocess
import sys
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import uniform_filter

import unblur
from unblur.blur.light import to_linear, to_srgb8
from unblur.errors import UnblurError, UsageError
from unblur.evaluation.pair_scores import score_pairs, summarize


@pytest.fixture
def model(box_onnx):
    return unblur.load(box_onnx(), runtime="onnxruntime", threads=1)


def command(*arguments, check=True):
    done = subprocess.run([sys.executable, "-m", "unblur.commands.restore", *map(str, arguments)], capture_output=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.decode()


def blurred(pixels):
    """What the model makes of (H, W, 3) in [0, 1]."""
    return uniform_filter(pixels.astype(np.float64), (3, 3, 1), mode="constant")


def test_what_is_offered_is_there():
    assert unblur.UnblurError is UnblurError
    assert {"Evaluation", "Model", "evaluate", "load", "restore"} <= set(dir(unblur))
    with pytest.raises(AttributeError, match="no attribute 'restored'"):
        _ = unblur.restored


def test_import_brings_nothing_that_takes_time():
    program = "import sys; before = set(sys.modules); import unblur; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in done.stdout.split()}
    assert found - set(sys.stdlib_module_names) == {"unblur"}


def test_without_torch_and_hydra_until_one_of_them_is_needed(box_onnx, tmp_path, make_photo):
    Image.fromarray(make_photo()).save(tmp_path / "in.png")
    program = (
        f"import sys, unblur; unblur.restore({str(tmp_path / 'in.png')!r}, {str(tmp_path / 'out.png')!r}, "
        f"{str(box_onnx())!r}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {
        "torch",
        "hydra",
        "omegaconf",
        "mlflow",
        "dvc",
        "scipy",
        "skimage",
        "matplotlib",
        "av",
        "onnx",
    }
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_an_array_comes_back_with_its_type(model, make_photo, dtype):
    floats = np.issubdtype(dtype, np.floating)
    white = 1 if floats else np.iinfo(dtype).max
    photo = (make_photo(90, 120) / 255 * white).astype(dtype)
    restored = model(photo)
    assert restored.dtype == dtype
    step = 2 * np.finfo(np.float16).eps if dtype == np.float16 else 1e-6 if floats else 1
    np.testing.assert_allclose(restored / white, blurred(photo / white), atol=step / (1 if floats else white) + 1e-6)


def test_transparency_and_grey_stay(model, make_photo):
    photo = make_photo(60, 80)
    alpha = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    restored = model(np.dstack([photo, alpha]))
    np.testing.assert_array_equal(restored[..., 3], alpha)
    np.testing.assert_array_equal(restored[..., :3], model(photo))
    grey = photo[..., 0]
    np.testing.assert_array_equal(model(grey), model(np.dstack([grey] * 3))[..., 0])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_pillow_image_comes_back_with_its_mode_and_info(model, make_photo, mode):
    image = Image.fromarray(make_photo(60, 80)).convert(mode)
    image.info["icc_profile"] = b"a profile"
    restored = model(image)
    assert (restored.mode, restored.size, restored.info) == (mode, (80, 60), image.info)
    pixels = np.asarray(image)
    wanted = model(pixels) if mode != "LA" else np.dstack([model(pixels[..., 0]), pixels[..., 1]])
    np.testing.assert_array_equal(np.asarray(restored), wanted)


def test_a_path_gives_what_the_command_writes(model, tmp_path, make_photo):
    Image.fromarray(make_photo(150, 210)).save(tmp_path / "in.png")
    named = ("--model", tmp_path / "box.onnx", "--runtime", "onnxruntime", "--tile", 64, "--overlap", 16)
    command(tmp_path / "in.png", tmp_path / "out.png", *named, "--strength", "auto")
    restored = model(tmp_path / "in.png", tile=64, overlap=16, strength="auto")
    np.testing.assert_array_equal(restored, np.asarray(Image.open(tmp_path / "out.png")))


def test_strength_is_a_share_in_linear_light(model, make_photo):
    photo = make_photo(60, 80)
    whole = model(photo)
    np.testing.assert_array_equal(model(photo, strength=0), photo)
    wanted = to_srgb8((to_linear(photo) + to_linear(whole)) / 2)
    assert np.abs(model(photo, strength=0.5).astype(int) - wanted).max() <= 1
    np.testing.assert_array_equal(model(photo, strength=np.float32(0.5)), model(photo, strength=0.5))
    halves = model(photo.astype(np.float32) / 255, strength=0.5)
    assert np.abs(halves * 255 - wanted).max() <= 1.5  # without the rounding between


def test_the_guard_is_on_until_it_is_put_off(box_onnx, make_photo):
    dark = unblur.load(box_onnx(9), runtime="onnxruntime")  # zero padding darkens a bright picture's edges
    photo = np.full((64, 64, 3), 250, np.uint8)
    assert dark(photo, guard=False)[0, 0, 0] < 90
    assert dark(photo)[0, 0, 0] > 200


@pytest.mark.parametrize(
    ("photo", "told"),
    [
        (np.zeros((4, 5, 2), np.uint8), r"array of \(4, 5, 2\) uint8 is no photograph; expected \(H, W\)"),
        (np.zeros((2, 4, 5, 3), np.uint8), "is no photograph"),
        (np.zeros((0, 5, 3), np.uint8), "is no photograph"),
        (np.zeros((4, 5, 3), np.int64), "int64 is of no type that is restored"),
        (np.full((4, 5, 3), 255.0), r"holds values to 255.0, expected \[0, 1\]; divide it by its white"),
        (np.full((4, 5, 3), np.nan), "holds values to nan"),
        (Image.new("F", (5, 4)), "mode F is not restored"),
        ([[0]], "a photograph of type list: expected a NumPy array, a Pillow image or a path"),
        ("missing.png", "missing.png: there is no such file"),
    ],
)
def test_what_is_no_photograph_is_told(model, photo, told):
    with pytest.raises(UnblurError, match=told):
        model(photo)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"strength": 1.5}, "strength 1.5: expected a number from 0 to 1"),
        ({"strength": "much"}, "strength 'much'"),
        ({"tile": 64, "overlap": 60}, "tile 64 with overlap 60"),
        ({"batch_size": 0}, "batch_size 0: expected at least 1 tile"),
    ],
)
def test_options_that_cannot_be_are_told(model, make_photo, tmp_path, options, told):
    with pytest.raises(UsageError, match=told):
        model(make_photo(), **options)
    Image.fromarray(make_photo()).save(tmp_path / "in.png")
    with pytest.raises(UsageError, match=told):
        unblur.restore(tmp_path / "in.png", tmp_path / "out.png", model, **options)


def test_files_are_those_of_the_command_and_either_knows_the_other_s(model, tmp_path, make_photo):
    folder = tmp_path / "holiday"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(make_photo(60, 80, seed)).save(folder / f"{seed}.jpg", exif=Image.Exif())
    named = ("--model", tmp_path / "box.onnx", "--runtime", "onnxruntime", "--strength", 0.5)
    command(folder, tmp_path / "by_command", *named)
    outcomes = unblur.restore(folder, tmp_path / "by_library", model, strength=0.5)
    assert [outcome.job.target.name for outcome in outcomes] == ["0.jpg", "1.jpg"]
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.job.target.read_bytes() == (tmp_path / "by_command" / outcome.job.target.name).read_bytes()
    assert unblur.restore(folder, tmp_path / "by_command", model, strength=0.5) == []
    assert "nothing to do: 2 done already" in command(folder, tmp_path / "by_library", *named)


def test_one_that_fails_is_an_outcome_and_alone_an_error(model, tmp_path, make_photo):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(make_photo()).save(good)
    bad.write_bytes(b"no picture")
    outcomes = unblur.restore([good, str(bad)], tmp_path / "restored", model)
    assert [outcome.error is None for outcome in outcomes] == [True, False]
    with pytest.raises(UnblurError, match=r"bad\.png: not a picture"):
        unblur.restore(bad, tmp_path / "out.png", model)
    with pytest.raises(UnblurError, match=r"clip\.MP4: a video; the command"):
        unblur.restore(tmp_path / "clip.MP4", tmp_path / "out.mp4", model)
    (tmp_path / "theirs.png").write_bytes(b"theirs")
    with pytest.raises(UnblurError, match="unblur did not write it"):
        unblur.restore(good, tmp_path / "theirs.png", model)


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), 1e305, 0, -1])
def test_a_limit_of_megapixels_is_a_finite_number_above_0(model, tmp_path, limit):
    with pytest.raises(UsageError, match=r"megapixels: expected a finite number above 0"):
        unblur.restore(tmp_path / "in.png", tmp_path / "out.png", model, max_megapixels=limit)


def test_no_photographs_and_pictures_onto_each_other_are_refused(model, tmp_path, make_photo):
    with pytest.raises(UsageError, match="no photographs are given; name a photograph or a folder"):
        unblur.restore([], tmp_path / "out", model)
    one, named = tmp_path / "one.png", tmp_path / "one.png.compare.png"
    for seed, path in enumerate((one, named)):
        Image.fromarray(make_photo(20, 20, seed)).save(path)
    with pytest.raises(UnblurError, match=r"would both be written to .*one\.png\.compare\.png"):
        unblur.restore([one, named], tmp_path / "out", model, compare=True)
    with pytest.raises(UsageError, match="would overwrite the photograph itself"):
        unblur.restore(named, tmp_path / "one.png", model, compare=True)


def test_a_place_that_cannot_be_written_is_an_error_before_anything_is_restored(model, tmp_path, make_photo):
    for seed in range(2):
        Image.fromarray(make_photo(20, 20, seed)).save(tmp_path / f"{seed}.png")
    (tmp_path / "file").touch()
    with pytest.raises(UnblurError, match="a file is where a folder is expected"):
        unblur.restore([tmp_path / "0.png", tmp_path / "1.png"], tmp_path / "file/out", model, track=pytest.fail)


@pytest.mark.parametrize("shut", ["in", "out"])
def test_a_folder_that_may_not_be_searched_is_told(model, tmp_path, make_photo, monkeypatch, shut):
    """As for everybody but root, whom these tests may run as."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    Image.fromarray(make_photo(20, 20)).save(tmp_path / "in/a.png")

    def refused(path, really, **options):
        if path.parent == tmp_path / shut:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, **options)

    for name in ("exists", "is_dir"):
        monkeypatch.setattr(Path, name, partialmethod(refused, getattr(Path, name)))
    with pytest.raises(UnblurError, match=rf"/{shut}/a\.png: no permission; change its owner or mode, or give another"):
        unblur.restore(tmp_path / "in/a.png", tmp_path / "out/a.png", model)


def write_pairs(root, make_photo):
    """Two pairs of 64 x 80 pixels, blurred by what the model does."""
    for seed in range(2):
        sharp = make_photo(64, 80, seed)
        for folder, pixels in (("sharp", sharp), ("blur", np.rint(blurred(sharp)).astype(np.uint8))):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{seed}.png")


def test_panels_never_replace_what_is_not_theirs(model, tmp_path, make_photo):
    write_pairs(tmp_path, make_photo)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/0.png").write_bytes(b"mine")
    for folder in ("sharp", "mine"):
        before = (tmp_path / folder / "0.png").read_bytes()
        with pytest.raises(UnblurError, match=r"give the panels another folder|nothing was touched"):
            unblur.evaluate(model, tmp_path, panels=tmp_path / folder)
        assert (tmp_path / folder / "0.png").read_bytes() == before
    for _ in range(2):  # the second time the folder is ours
        unblur.evaluate(model, tmp_path, panels=str(tmp_path / "panels"))
    assert sorted(path.name for path in (tmp_path / "panels").glob("*.png")) == ["0.png", "1.png"]


def test_evaluate_is_the_command_score(model, tmp_path, make_photo):
    write_pairs(tmp_path, make_photo)
    found = unblur.evaluate(model, tmp_path, "psnr/literature")
    wanted = score_pairs(model.restorer, tmp_path, "psnr/literature")
    assert [score.restored for score in found.pairs] == [score.restored for score in wanted]
    assert found.mean.gain == summarize(found.pairs).gain < 0  # blurred once more
    with pytest.raises(UnblurError, match="there is no metric profile 'psnr'"):
        unblur.evaluate(model, tmp_path, "psnr")


def test_models_are_those_of_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UnblurError, match="unblur models get maxim-gopro"):
        unblur.load("maxim-gopro")
    with pytest.raises(UnblurError, match=r"none\.onnx: no such model"):
        unblur.load(Path("none.onnx"))
