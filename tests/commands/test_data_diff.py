"""`unblur data diff REV` in a real git and DVC repository."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.data.images import read_rgb, write_png
from unblur.safety.hashing import sha256_file

PROJECT = Path(__file__).parents[2]


def tool(root, *command):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def data_diff(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "UNBLUR_ROOT": str(root), "COLUMNS": "160"}
    command = [sys.executable, "-m", "unblur.commands.data", "diff", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def record(root, splits):
    """List the photographs, have DVC record them, and commit."""
    entries = [
        {"file": f"photos/{name}.png", "split": split, "licence": "CC0",
         "sha256": sha256_file(root / f"data/photos/{name}.png")}
        for name, split in splits.items()
    ]  # fmt: skip
    (root / "data/SOURCES.json").write_text(json.dumps(entries))
    tool(root, sys.executable, "-m", "dvc", "add", "-q", "data")
    tool(root, "git", "add", ".")
    tool(root, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "data")


@pytest.fixture
def project(tmp_path, make_photo):
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    tool(root, "git", "init", "-q")
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, root / name)
    for seed, name in enumerate("abc"):
        write_png(root / f"data/photos/{name}.png", make_photo(seed=seed))
    record(root, {"a": "train", "b": "val", "c": "test"})
    return root


@pytest.mark.pipeline
@pytest.mark.slow
def test_what_changed_between_two_commits_with_thumbnails(project, make_photo):
    (project / "data/photos/b.png").unlink()
    write_png(project / "data/photos/d [e].png", make_photo(seed=7))
    write_png(project / "data/photos/c.png", make_photo(seed=8))
    record(project, {"a": "val", "c": "test", "d [e]": "train"})
    done = data_diff(project, "HEAD~1")
    assert done.returncode == 0, done.stderr
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    rows = {row[0]: row[1:] for row in table}
    assert rows["photos/a.png"] == ["moved", "val", "train"]
    assert rows["photos/b.png"][:2] == ["removed", "val"]
    assert rows["photos/c.png"][:2] == ["changed", "test"]
    assert rows["photos/d [e].png"][:2] == ["added", "train"]
    assert "What next?" in done.stdout
    sheet = read_rgb(project / "reports/data_diff.png")
    assert sheet.shape[2] == 3
    assert sheet.std() > 10

    assert "nothing changed" in data_diff(project, "HEAD").stdout

    # A clone that has not fetched the old version: one line says what to run.
    old = tool(project, "git", "show", "HEAD~1:data.dvc").split("md5: ")[1].split()[0]
    (project / ".dvc/cache/files/md5" / old[:2] / old[2:]).unlink()
    done = data_diff(project, "HEAD~1")
    assert done.returncode == 1
    assert "run `dvc fetch" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.pipeline
@pytest.mark.parametrize("rev", ["no-such-commit", "--help-me"])
def test_a_wrong_commit_is_one_line(project, rev):
    done = data_diff(project, rev)
    assert done.returncode in (1, 2)
    if rev == "no-such-commit":
        assert done.stderr.startswith("error: data.dvc at 'no-such-commit' cannot be read")
        assert len(done.stderr.splitlines()) == 1
