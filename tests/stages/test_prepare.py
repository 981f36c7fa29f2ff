"""`unblur prepare` as its user calls it: a process, files, a table, one line for a mistake."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import read_manifest
from unblur.data.pairs import remake_pair
from unblur.safety.hashing import sha256_file

pytestmark = pytest.mark.pipeline

PHOTOS = {"cat": "val", "cup": "test", "wall": "train", "spare": "train"}


@pytest.fixture
def project(tmp_path, make_photo) -> Path:
    entries = []
    for seed, (name, split) in enumerate(PHOTOS.items()):
        file = f"photos/{name}.png"
        write_png(tmp_path / "data" / file, make_photo(70, 90, seed))
        sha256 = sha256_file(tmp_path / "data" / file)
        entries.append({"file": file, "split": split, "scene": name, "licence": "CC0", "sha256": sha256})
    (tmp_path / "data/SOURCES.json").write_text(json.dumps(entries))
    return tmp_path


def prepare(project, *overrides):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "unblur.stages.prepare",
            "data.max_side={val: 64, test: 64}",
            "data.exclude=[photos/spare.png]",
            *overrides,
        ],
        cwd=project,
        env={**os.environ, "COLUMNS": "120", "UNBLUR_ROOT": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_pairs_manifest_index_and_table(project):
    pairs = "data.pairs_per_photo={val: 4, test: 8}"
    done = prepare(project, pairs)
    assert done.returncode == 0, done.stderr
    prepared = project / "artifacts/prepared"
    rows = read_manifest(prepared)
    assert [(row.scene, row.split) for row in rows] == [("cat", "val")] * 4 + [("cup", "test")] * 8
    recipe = instantiate(_plain(config_dir() / "blur/starter.yaml"))
    blur, sharp = remake_pair(rows[-1], project / "data", recipe)
    np.testing.assert_array_equal(blur, read_rgb(prepared / rows[-1].blur))
    assert sharp.shape == (64, 64, 3)
    with (prepared / "sources.csv").open() as stream:
        assert [line["file"] for line in csv.DictReader(stream)] == [
            f"photos/{name}.png" for name in ("cat", "cup", "wall")
        ]
    table = [line.split("│")[1:-1] for line in done.stdout.splitlines() if "│" in line]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in table}
    assert cells["test"] == ["1", "1", "5", "2", "8"]  # photos, identity, shake, defocus, pairs
    assert cells["val"] == ["1", "1", "2", "1", "4"]
    assert cells["train"] == ["1", "0", "0", "0", "0"]

    # The run's seed does not touch the pairs that runs are compared on; their own seed does.
    before = (prepared / "manifest.csv").read_bytes()
    assert prepare(project, pairs, "seed=5").returncode == 0
    assert (prepared / "manifest.csv").read_bytes() == before


@pytest.mark.slow
def test_pairs_of_ones_own_are_never_replaced_and_earlier_ones_go(project):
    mine = project / "mine" / "val" / "sharp" / "a.png"
    write_png(mine, np.zeros((8, 8, 3), np.uint8))
    for overrides in ("paths.prepared=mine",), ("paths.prepared=data", "--overwrite"):
        done = prepare(project, *overrides)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert mine.is_file()
        assert (project / "data/SOURCES.json").is_file()
    assert prepare(project).returncode == 0
    first = {path.name: path.read_bytes() for path in (project / "artifacts/prepared").rglob("*") if path.is_file()}
    assert prepare(project, "data.pairs_per_photo={val: 1, test: 2}").returncode == 0
    assert len(list((project / "artifacts/prepared").rglob("*.png"))) == 2 * 3
    assert prepare(project).returncode == 0
    again = {path.name: path.read_bytes() for path in (project / "artifacts/prepared").rglob("*") if path.is_file()}
    assert again == first
    assert prepare(project, "paths.prepared=mine", "--overwrite").returncode == 0
    assert not mine.exists()


def test_without_data_one_line_says_what_to_do(tmp_path):
    done = prepare(tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "unblur data starter" in done.stderr


def _plain(path):
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.load(path))


@pytest.mark.slow
def test_a_training_is_refused_whose_pairs_were_made_of_other_photographs(project, tiny, run_stage, monkeypatch):
    assert prepare(project).returncode == 0
    sources = project / "data/SOURCES.json"
    record = json.loads((project / "artifacts/prepared/lineage.json").read_text())
    assert record == {"stage": "prepare", "read": {"data/SOURCES.json": sha256_file(sources)}}
    monkeypatch.chdir(project)
    monkeypatch.setenv("UNBLUR_ROOT", str(project))
    sources.write_text(json.dumps(json.loads(sources.read_text())[:-1]))  # one photograph fewer
    command = [sys.executable, "-m", "unblur.stages.train", *tiny, "logger=none"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "artifacts/prepared/lineage.json was made of" in line
    assert "data/SOURCES.json is" in line
    assert "Run `unblur prepare` again" in line
    assert prepare(project).returncode == 0
    run_stage("train", *tiny, "logger=none")
