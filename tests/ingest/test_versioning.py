"""Our own reading of DVC's record agrees with DVC."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.ingest.versioning import files_below, folder_md5, is_cached, recorded_md5

PROJECT = Path(__file__).parents[2]


def dvc(root, *arguments):
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True, env=environment
    )


@pytest.mark.pipeline
def test_the_hash_and_the_cache_are_those_of_dvc(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".dvc").mkdir()
    shutil.copy(PROJECT / ".dvc" / "config", tmp_path / ".dvc")
    shutil.copy(PROJECT / ".dvcignore", tmp_path)
    (tmp_path / ".dvc" / "config.local").write_text("[cache]\n    dir = ../elsewhere\n    type = copy\n")
    data = tmp_path / "data"
    for name in ("b.txt", "a/ü.txt", "a b.txt", "a/c/d.bin", "a-b/e", ".DS_Store", "a/.x.png.0123abcd.part"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(name.encode())
    dvc(tmp_path, "add", "-q", "data")
    recorded = recorded_md5(tmp_path / "data.dvc")
    assert recorded == folder_md5(data)
    assert "nfiles: 5" in (tmp_path / "data.dvc").read_text()
    assert is_cached(recorded, tmp_path)
    shutil.rmtree(tmp_path / "elsewhere")
    assert not is_cached(recorded, tmp_path)
    (data / "b.txt").write_text("changed")
    assert folder_md5(data) != recorded


def test_the_hash_of_one_file_by_hand(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    listing = b'[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "a.txt"}]'  # the MD5 of nothing
    assert folder_md5(tmp_path) == hashlib.md5(listing).hexdigest() + ".dir"


def test_no_record_is_none(tmp_path):
    assert recorded_md5(tmp_path / "data.dvc") is None
    (tmp_path / "data.dvc").write_text("outs:\n- path: data\n  hash: md5\n")
    assert recorded_md5(tmp_path / "data.dvc") is None
    assert files_below(tmp_path / "nowhere") == []


def test_the_project_s_record_is_readable():
    assert recorded_md5(PROJECT / "data.dvc").endswith(".dir")
