"""`unblur data average` from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.data.manifest import read_manifest

PROJECT = Path(__file__).parents[2]


def average(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-m", "unblur", "data", "average", *map(str, arguments)]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture
def clip(tmp_path, make_video, make_photo):
    wide = make_photo(48, 160)
    return make_video(tmp_path / "clip.mkv", [wide[:, 2 * index : 2 * index + 64] for index in range(24)])


def test_a_video_becomes_pairs_and_a_table(tmp_path, clip):
    done = average(tmp_path, clip, "out", "--frames", 7, "--gamma", "srgb", "--interpolate", 2, "--stride", 8)
    assert done.returncode == 0, done.stderr
    rows = read_manifest(tmp_path / "out")
    assert [row.parameters["first_frame"] for row in rows] == [0, 8, 16]
    assert all(row.parameters["gamma"] == "srgb" and row.parameters["interpolate"] == 2 for row in rows)
    assert all((tmp_path / "out" / side).is_file() for row in rows for side in (row.blur, row.sharp))
    assert "clip.mkv" in done.stdout
    assert "What next?" in done.stdout
    assert "unblur data import averaged out" in done.stdout


def test_the_defaults_are_gopros(tmp_path, clip):
    assert average(tmp_path, clip, "out").returncode == 0
    rows = read_manifest(tmp_path / "out")
    assert [row.parameters["first_frame"] for row in rows] == [0, 11]
    assert rows[0].parameters["frames"] == 11
    assert rows[0].parameters["gamma"] == 2.2


def test_names_in_brackets_are_shown_as_they_are(tmp_path, clip):
    clip.rename(tmp_path / "Holiday [dQw4w9WgXcQ].mkv")
    done = average(tmp_path, "Holiday [dQw4w9WgXcQ].mkv", "out[/y]")
    assert done.returncode == 0, done.stderr
    table, _, next_ = done.stdout.partition("What next?")
    assert "pairs in out[/y]" in table
    assert "[dQw4w9WgXcQ].mkv" in table
    assert "unblur data explain out[/y]/manifest.csv 0 --root" in next_
    assert "unblur data import averaged out[/y] " in next_


def test_of_a_truncated_video_the_pairs_are_kept_and_one_line_names_file_and_frame(tmp_path, clip):
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 3 // 5])
    done = average(tmp_path, "clip.mkv", "out", "--frames", 5)
    assert done.returncode == 1
    assert len(read_manifest(tmp_path / "out")) == 2
    told = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    assert len(told) == 1
    assert "clip.mkv: damaged at frame 1" in told[0]
    assert done.stderr == "error: 1 videos are damaged, listed above; out has 2 pairs\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("clip.mkv", "out", "--frames", 4), 1, "error: frame averaging: got 4 frames; expected an odd number"),
        (("clip.mkv", "out", "--frames", 99), 1, "error: clip.mkv: no shot has 99 frames; give fewer with --frames"),
        (("none.mp4", "out"), 1, "error: none.mp4: there is no such video or folder"),
        (("clip.mkv", "out", "--gamma", "linear"), 2, "invalid gamma value: 'linear'"),
        (("clip.mkv", "out", "--val", "clip", "--test", "clip"), 1, "error: --val clip --test clip: a video is in one"),
        (("clip.mkv",), 2, "OUT"),
    ],
)
def test_a_mistake_is_told(tmp_path, clip, arguments, code, message):
    done = average(tmp_path, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))
