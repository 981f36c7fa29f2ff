"""`unblur data starter` in a real git and DVC repository, with wheels from a folder."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CONTENT = {"photos/a.png": b"first photo", "photos/b.png": b"second photo", "videos/c.mp4": b"a clip"}


@pytest.fixture
def project(tmp_path):
    """A git and DVC repository set up as this one is, a wheel, and the list of its files."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", root], check=True)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, root / name)
    entries = []
    with zipfile.ZipFile(tmp_path / "tinyphotos-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinyphotos-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinyphotos\nVersion: 1.0\n")
        wheel.writestr("tinyphotos-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        for file, content in CONTENT.items():
            wheel.writestr(f"tinyphotos/{file}", content)
            entries.append({"file": file, "member": f"tinyphotos/{file}", "requirement": "tinyphotos==1.0"})
            entries[-1] |= {"licence": "CC0", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            entries[-1] |= {"split": "train"} if file.startswith("photos") else {}
    (root / "list.json").write_text(json.dumps(entries))
    return root


def unblur_data(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "UNBLUR_ROOT": str(root)}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(root.parent)}
    command = [sys.executable, "-m", "unblur.commands.data", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def starter(root):
    return unblur_data(root, "starter", "--list", "list.json")


def dvc(root, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def cached(root):
    return {path.read_bytes() for path in (root / ".dvc" / "cache").rglob("*") if path.is_file()}


@pytest.mark.pipeline
@pytest.mark.slow
def test_the_dataset_is_built_recorded_repaired_and_then_left_alone(project):
    done = starter(project)
    assert done.returncode == 0, done.stderr
    assert {name: (project / "data" / name).read_bytes() for name in CONTENT} == CONTENT
    record = (project / "data.dvc").read_bytes()
    assert set(CONTENT.values()) <= cached(project)
    assert not (project / ".unblur-cache").exists()
    staged = subprocess.run(["git", "diff", "--cached", "--name-only"], cwd=project, capture_output=True, check=True)
    assert staged.stdout == b""

    # Nothing changed: neither pip (the wheel is gone) nor DVC (it would take the lock) is started.
    (project.parent / "tinyphotos-1.0-py3-none-any.whl").rename(project.parent / "away")
    again = starter(project)
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout
    (project.parent / "away").rename(project.parent / "tinyphotos-1.0-py3-none-any.whl")

    # A fresh clone: data.dvc is there, the data and DVC's cache are not.
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc" / "cache")
    assert starter(project).returncode == 0
    assert (project / "data.dvc").read_bytes() == record
    assert set(CONTENT.values()) <= cached(project)
    assert "up to date" in dvc(project, "status", "data.dvc")


@pytest.mark.pipeline
def test_the_record_of_another_dataset_is_not_rewritten(project):
    record = f"outs:\n- md5: {'0' * 32}.dir\n  hash: md5\n  path: data\n"
    (project / "data.dvc").write_text(record)
    done = starter(project)
    assert done.returncode == 1
    assert f"data.dvc records another dataset ({'0' * 32}.dir) than the one built here" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (project / "data.dvc").read_text() == record


@pytest.mark.pipeline
def test_what_dvc_complains_about_is_passed_on_in_one_line(project):
    (project / ".dvc" / "config.local").write_text("[cache]\n    colour = red\n")
    done = starter(project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: `dvc add")
    assert "colour" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_strangers_are_named_and_nothing_is_touched(project):
    (project / "data").mkdir()
    (project / "data" / "mine.png").write_bytes(b"mine")
    done = starter(project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "mine.png" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in (project / "data").iterdir()] == ["mine.png"]
    assert not (project / "data.dvc").exists()


def test_failures_are_listed_and_nothing_is_recorded(project):
    (project.parent / "tinyphotos-1.0-py3-none-any.whl").unlink()
    done = starter(project)
    assert done.returncode == 1
    assert "failed: tinyphotos==1.0: pip could not download it" in done.stdout
    assert "error: data is not complete: 1 failures, listed above" in done.stderr
    assert not (project / "data.dvc").exists()


def test_an_unknown_dataset_is_a_usage_error(project):
    done = unblur_data(project, "gopro-typo")
    assert done.returncode == 2
    assert "gopro-typo" in done.stderr


def test_the_root_of_the_disk_is_a_usage_error(project):
    done = unblur_data(project, "starter", "--list", "list.json", "--root", "/")
    assert done.returncode == 2
    assert done.stderr == "error: --root /: is no folder of a dataset; give one below it, such as data\n"
