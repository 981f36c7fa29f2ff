"""`unblur data free` in a DVC repository, from a folder: recorded, read by data=free, exit code 1 if one fails."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from unblur.config.compose import compose
from unblur.config.provenance import data_version
from unblur.data.manifest import read_sources
from unblur.ingest.free import FreePhoto

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, make_photo):
    root, folder = tmp_path / "project", tmp_path / "folder"
    (root / ".dvc").mkdir(parents=True)
    folder.mkdir()
    subprocess.run(["git", "init", "-q", root], check=True)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, root / name)
    with (root / "list.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FreePhoto.__dataclass_fields__)
        writer.writeheader()
        for index, split in enumerate(("train", "val", "test")):
            Image.fromarray(make_photo(48, 64, seed=index)).save(folder / f"p{index}.jpg")
            sha256 = hashlib.sha256((folder / f"p{index}.jpg").read_bytes()).hexdigest()
            photo = FreePhoto(
                f"photos/p{index}.jpg",
                split,
                64,
                48,
                sha256,
                "nature",
                "CC0-1.0",
                "",
                f"a/{index}",
                "c",
                "p",
                "b",
                "README",
            )
            writer.writerow(vars(photo))
    return root


def free(root, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "UNBLUR_ROOT": str(root), "COLUMNS": "200"}
    command = [
        sys.executable,
        "-m",
        "unblur.commands.data",
        "free",
        "--from",
        str(root.parent / "folder"),
        "--list",
        "list.csv",
        *arguments,
    ]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_folder_is_recorded_and_data_free_reads_it(project):
    lost = (project.parent / "folder" / "p1.jpg").rename(project.parent / "p1.jpg")
    done = free(project)
    assert done.returncode == 1
    assert "failed: photos/p1.jpg: " in done.stdout
    assert "free is not complete: 1 failures" in done.stderr
    assert not (project / "free.dvc").exists()
    lost.rename(project.parent / "folder" / "p1.jpg")
    done = free(project)
    assert done.returncode == 0, done.stderr
    assert "3 photographs, every hash right; recorded in free.dvc" in done.stdout
    cfg = compose(["data=free"])
    assert [source.split for source in read_sources(project / cfg.paths.data)] == ["train", "val", "test"]
    assert data_version(project, cfg.paths.data).endswith(".dir")
    assert "as free.dvc records it" in free(project).stdout


def test_the_root_of_the_disk_is_a_usage_error(project):
    done = free(project, "--out", "/")
    assert done.returncode == 2
    assert done.stderr == "error: --out /: is no folder of a dataset; give one below it, such as data\n"
