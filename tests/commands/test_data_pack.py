"""`unblur data pack` and `unblur data verify` as a person calls them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.data.images import write_png

PROJECT = Path(__file__).parents[2]
SMALL = ("--tile", "40", "--overlap", "8", "--min-side", "32", "--shard-mb", "0.02")


@pytest.fixture
def folder(tmp_path, make_photo):
    """A folder with two photographs in photos/."""
    for seed in range(2):
        write_png(tmp_path / f"photos/{seed}.png", make_photo(64, 80, seed))
    return tmp_path


def unblur_data(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "UNBLUR_ROOT": str(root)}
    command = [sys.executable, "-m", "unblur", "data", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.pipeline
def test_pack_tells_what_came_out_and_verify_what_has_gone_wrong_since(folder):
    done = unblur_data(folder, "pack", "photos", "shards", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "unblur train data.shards=shards" in done.stdout
    files = sorted((folder / "shards").glob("[!.]*"))
    assert [path.suffix for path in files].count(".bin") >= 2
    right = unblur_data(folder, "verify", "shards")
    assert (right.returncode, right.stderr) == (0, "")
    assert "every SHA-256 is right" in right.stdout
    files[0].write_bytes(b"x" + files[0].read_bytes()[1:])
    wrong = unblur_data(folder, "verify", "shards")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: shards: 1 files are wrong")
    assert f"wrong: {files[0].name}: SHA-256" in wrong.stdout


def test_names_in_brackets_are_shown_as_they_are(folder):
    done = unblur_data(folder, "pack", "photos", "shards[/y]", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "shards in shards[/y]" in done.stdout
    assert "unblur train data.shards=shards[/y]\n" in done.stdout
    assert "shards[/y]: every SHA-256 is right" in unblur_data(folder, "verify", "shards[/y]").stdout


def test_shards_of_something_else_are_replaced_only_on_demand(folder):
    assert unblur_data(folder, "pack", "photos", "shards", *SMALL).returncode == 0
    assert unblur_data(folder, "pack", "photos", "shards", *SMALL).returncode == 0
    before = sorted(path.name for path in (folder / "shards").iterdir())
    other = ("pack", "photos", "shards", *SMALL, "--tile", "48")
    done = unblur_data(folder, *other)
    assert done.returncode == 1
    assert "from something else" in done.stderr
    assert sorted(path.name for path in (folder / "shards").iterdir()) == before
    assert unblur_data(folder, *other, "--overwrite").returncode == 0
    (folder / "own").mkdir()
    (folder / "own" / ".mine.part.png").write_bytes(b"mine")
    assert unblur_data(folder, "pack", "photos", "own", *SMALL).returncode == 1


def test_the_photographs_left_out_are_named(folder):
    done = unblur_data(folder, "pack", "photos", "shards", "--min-side", "65", "--tile", "80")
    assert done.returncode == 1
    assert done.stderr == "error: photos: none of 2 photographs has 65 pixels a side; lower --min-side\n"


def test_a_wrong_option_is_a_usage_error(folder):
    assert unblur_data(folder, "pack", "photos").returncode == 2
    assert unblur_data(folder, "pack", "photos", "out", "--tile", "large").returncode == 2
    shown = unblur_data(folder, "--help").stdout
    assert "pack" in shown
    assert "verify" in shown


@pytest.mark.parametrize("megabytes", ["nan", "inf", "0"])
def test_a_size_of_shards_that_is_none_is_told_before_the_folder_is_marked(folder, megabytes):
    done = unblur_data(folder, "pack", "photos", "shards", "--shard-mb", megabytes)
    assert done.returncode == 2
    assert done.stderr == f"error: --shard-mb {megabytes}: expected megabytes above 0, such as 256\n"
    assert not (folder / "shards").exists()
