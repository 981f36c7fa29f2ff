"""`unblur data explain` and `unblur data sheet` from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unblur.blur.frame_averaging import FrameAveraging
from unblur.config.compose import compose
from unblur.config.instantiate import instantiate
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import Source
from unblur.data.pairs import prepare_pairs
from unblur.ingest.averaging import average_videos
from unblur.ingest.imported import import_dataset, write_imported
from unblur.ingest.layouts.known import LAYOUTS
from unblur.safety.hashing import sha256_file

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path):
    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "UNBLUR_ROOT": str(tmp_path)}
        command = [sys.executable, "-m", "unblur.commands.data", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def prepare(tmp_path, make_photo):
    def prepared(blur, *overrides):
        write_png(tmp_path / "data/photos/cup.png", make_photo(60, 90))
        source = Source("photos/cup.png", "val", "cup", sha256_file(tmp_path / "data/photos/cup.png"), "CC0")
        recipe = instantiate(compose([f"blur={blur}", *overrides]).blur)
        pairs = {"pairs_per_photo": {"val": 4}, "max_side": {}, "seed": 0}
        return prepare_pairs([source], tmp_path / "data", tmp_path / "out", recipe, **pairs)

    return prepared


@pytest.mark.parametrize("blur", ["realistic", "gopro_like", "optics"])
def test_a_prepared_pair_is_made_again_by_the_recipe_that_is_named(data, prepare, tmp_path, blur):
    rows = prepare(blur)
    done = data("explain", "out/manifest.csv", 2, "--blur", blur)
    assert done.returncode == 0, done.stderr
    assert f"pair.png: pair {rows[2].pair}, made again byte for byte" in done.stdout
    assert read_rgb(tmp_path / "pair.png").std() > 10
    assert data("explain", "out/manifest.csv", 1, "--blur", blur).returncode == 0  # its own figure is replaced
    write_png(tmp_path / "pair.png", np.zeros((8, 8, 3), np.uint8))
    done = data("explain", "out/manifest.csv", 1, "--blur", blur)
    assert done.returncode == 1
    assert "pair.png: is there already" in done.stderr


def test_a_video_takes_the_number_of_its_frames_from_the_row(data, prepare):
    prepare("video", "data.frames=3")
    done = data("explain", "out/manifest.csv", 0, "--blur", "video")
    assert done.returncode == 0, done.stderr


def test_averages_and_imported_pairs_are_shown_too(data, tmp_path, make_video, make_photo, make_fake):
    wide = make_photo(48, 160)
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos/clip.mkv", [wide[:, 2 * index : 2 * index + 64] for index in range(9)])
    average_videos(tmp_path / "videos", tmp_path / "averaged", FrameAveraging(5), stride=5)
    done = data("explain", "averaged/manifest.csv", 0, "--root", "videos")
    assert done.returncode == 0, done.stderr
    done = data("explain", "averaged/manifest.csv", 0)
    assert done.stderr.endswith("clip.mkv: there is no such video; say with --root which folder holds it\n")

    write_imported(tmp_path / "averaged.csv", import_dataset(LAYOUTS["averaged"], tmp_path / "averaged"))
    done = data("explain", "averaged.csv", 0)
    assert "averaged from a video" in done.stdout, done.stderr

    root, _ = make_fake("gopro")
    write_imported(tmp_path / "gopro.csv", import_dataset(LAYOUTS["gopro"], root))
    done = data("explain", "gopro.csv", 0)
    assert done.returncode == 0, done.stderr
    assert "a camera made it" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none.csv", 0, "--blur", "starter"), "none.csv: there is no manifest of pairs; give a manifest.csv"),
        (("data/photos/cup.png", 0), "cup.png: not a table of pairs"),
        (("out/manifest.csv", 9, "--blur", "starter"), "there is no pair '9' in the manifest; expected a name, or"),
        (("out/manifest.csv", 1), "pipeline.yaml: there is no such configuration; name the recipe with --blur"),
        (("out/manifest.csv", 1, "--blur", "startr"), "starter"),
        (("out/manifest.csv", 1, "--blur", "defocus"), "is not in the recipe; name the one that made it"),
    ],
)
def test_a_mistake_is_one_line(data, prepare, arguments, says):
    prepare("starter")
    done = data("explain", *arguments)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_names_in_brackets_are_shown_as_they_are(data, prepare):
    rows = prepare("starter")
    done = data("explain", "out/manifest.csv", 1, "--blur", "starter", "--out", "pair [x].png")
    assert f"pair [x].png: pair {rows[1].pair}, made again" in done.stdout, done.stderr
    done = data("sheet", "defocus", "--photo", "data/photos/cup.png", "--side", 48, "--out", "sheets[/y]")
    assert done.stdout == "sheets[/y]/defocus.png\n", done.stderr


def test_sheets_are_written_for_the_recipes_named(data, prepare, tmp_path):
    prepare("starter")
    photo = "data/photos/cup.png"
    done = data("sheet", "defocus", "video", "--photo", photo, "--side", 48, "--out", "sheets")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "sheets").glob("[!.]*")) == ["defocus.png", "video.png"]
    done = data("sheet", "defocs", "--photo", photo)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no recipe 'defocs'; did you mean 'defocus'?")
    done = data("sheet", "defocus")
    assert done.stderr.startswith("error: ")
    assert "SOURCES.json" in done.stderr
