"""A fake GoPro from the import to a trained model: the files stay, the pairs come, the loss is on them."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.cli import COMMANDS

PROJECT = Path(__file__).parents[2]
TINY = (
    "experiment=smoke",
    "data=gopro",
    "augment=none",
    "data.patch_size=16",
    "data.batch_size=2",
    "data.steps_per_epoch=4",
    "data.num_workers=0",
    "data.min_side=16",
    "train.threads=1",
    "logger=none",
)

pytestmark = pytest.mark.pipeline


@pytest.fixture
def unblur(tmp_path):
    """`unblur("data", "import", ...)` in an empty project."""
    root = tmp_path / "project"
    root.mkdir()

    def run(stage, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "UNBLUR_ROOT": str(root), "COLUMNS": "200"}
        command = [sys.executable, "-m", COMMANDS[stage.replace("_", "-")].module, *arguments]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)

    run.root = root
    return run


@pytest.mark.slow
def test_from_import_to_a_trained_model(unblur, make_fake):
    root, counts = make_fake("gopro")
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    done = unblur("data", "import", "gopro", str(root))
    assert done.returncode == 0, done.stderr
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert table == [
        ["train", "1", "3", "32 x 24"],
        ["val", "1", "3", "32 x 24"],
        ["test", "1", str(counts["test"]), "32 x 24"],
    ]
    assert "unblur train data=gopro data.source.manifest=data/imported/gopro.csv" in done.stdout

    done = unblur("prepare", *TINY)
    assert done.returncode == 0, done.stderr
    done = unblur("train", *TINY)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads((unblur.root / "artifacts/train/run.json").read_text())
    assert record["steps"] == 8
    rows = list(csv.DictReader((unblur.root / "artifacts/train/history.csv").open()))
    # The fake's blur is one step of one channel: 10 log10(3 * 255^2). So it is these pairs that were seen.
    assert 20 < float(rows[-1]["val_psnr"]) < 80
    assert (unblur.root / "artifacts/train/model/model.safetensors").is_file()
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == before

    # Another import is another dataset: training does not take the old checkpoint or model for its own.
    manifest = unblur.root / "data/imported/gopro.csv"
    first = record["config_hash"]
    text = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in text if "000011" not in line or ",train," not in line))
    done = unblur("train", *TINY)
    assert done.returncode == 1
    assert "Run `unblur prepare` again" in done.stderr
    assert unblur("prepare", *TINY).returncode == 0
    assert unblur("train", *TINY).returncode == 0
    assert json.loads((unblur.root / "artifacts/train/run.json").read_text())["config_hash"] != first


@pytest.mark.slow
def test_imported_photographs_are_blurred_by_the_recipe(unblur, tmp_path, make_photo):
    from unblur.data.images import write_png

    for seed, split in enumerate(("train", "train", "val", "test")):
        write_png(tmp_path / "mine" / split / f"{seed}.png", make_photo(70, 90, seed))
    assert unblur("data", "import", "photos", str(tmp_path / "mine"), "--name", "mine").returncode == 0
    photos = (
        *(item for item in TINY if item != "data=gopro"),
        "data=photos",
        "data.source.manifest=data/imported/mine.csv",
    )
    done = unblur("prepare", *photos)
    assert done.returncode == 0, done.stderr
    done = unblur("train", *photos)
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads((unblur.root / "artifacts/train/run.json").read_text())["steps"] == 8


@pytest.mark.slow
def test_from_clips_to_a_video_network_that_is_scored(unblur, tmp_path, make_video, make_photo):
    clips = []
    for seed, name in enumerate("abc"):
        shots = [make_photo(64, 110, 2 * seed + shot) for shot in (0, 1)]
        frames = [wide[:, 2 * index : 2 * index + 80] for wide in shots for index in range(12)]
        clips.append(str(make_video(tmp_path / f"{name}.mkv", frames)))
    done = unblur("data", "average", *clips, "averaged", "--frames", "3", "--val", "b", "--test", "c")
    assert done.returncode == 0, done.stderr
    done = unblur("data", "import", "averaged", "averaged")
    assert done.returncode == 0, done.stderr
    assert (
        "unblur train model=estrnn_small data=averaged data.source.manifest=data/imported/averaged.csv" in done.stdout
    )
    sizes = ("data.frames=3", "data.patch_size=16", "data.steps_per_epoch=2", "data.min_side=16", "data.num_workers=0")
    settings = ("experiment=starter_clips", "model=estrnn_tiny", *sizes, "trainer.max_epochs=2", "logger=none")
    for stage in ("check_data", "prepare", "train", "evaluate"):
        done = unblur(stage, *settings)
        assert done.returncode == 0, done.stderr + done.stdout
    with (unblur.root / "artifacts/prepared/manifest.csv").open() as stream:
        pairs = [(row["split"], row["scene"]) for row in csv.DictReader(stream)]
    assert pairs == [(split, f"{clip}/shot{shot}") for split, clip in (("val", "b"), ("test", "c")) for shot in (0, 1)]
    metrics = json.loads((unblur.root / "artifacts/evaluate/metrics.json").read_text())
    assert metrics["pairs"] == 2
    assert list(metrics["strata"]["kind"]) == ["averaged"]


def test_a_wrong_folder_a_wrong_layout_and_a_wrong_task_are_one_line(unblur, tmp_path, make_fake):
    done = unblur("data", "import", "gopro", str(tmp_path))
    assert done.returncode == 1
    assert "expected {train,test}/SEQUENCE/{blur,sharp}/NNNNNN.png" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = unblur("data", "import", "gorpo", str(tmp_path))
    assert done.returncode == 2
    assert "did you mean 'gopro'" in done.stderr
    done = unblur("data", "import", "gopro", str(make_fake("gopro")[0]), "--name", "../x")
    assert done.returncode == 2
    assert not list(unblur.root.rglob("*.csv"))


def test_names_in_brackets_are_shown_as_they_are(unblur, make_fake, tmp_path):
    root = make_fake("gopro")[0].rename(tmp_path / "GoPro [x]")
    done = unblur("data", "import", "gopro", str(root), "--out", "made[/y].csv")
    assert done.returncode == 0, done.stderr
    told = "".join(done.stdout.split())
    assert "".join(f"gopro: {root}".split()) in told
    assert "written to made[/y].csv;" in done.stdout
    assert "unblur check-data data=gopro data.source.manifest=made[/y].csv\n" in done.stdout


def test_a_mistyped_folder_is_told_where_an_earlier_manifest_is_too(unblur, make_fake):
    root, _ = make_fake("gopro")
    assert unblur("data", "import", "gopro", str(root)).returncode == 0
    done = unblur("data", "import", "gopro", f"{root}s")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {root}s: there is no such folder; expected ")
    assert len(done.stderr.splitlines()) == 1


def test_check_data_reads_the_manifest_and_shows_the_offenders(unblur, make_fake):
    root, _ = make_fake("gopro")
    assert unblur("data", "import", "gopro", str(root), "--out", "made/g.csv").returncode == 0
    assert unblur("data", "import", "gopro", str(root), "--out", "made/g.csv").returncode == 0
    (unblur.root / "made/package.json").write_text("{}")
    for out, path in (("made/package.csv", root), ("made/g.csv", root / "train")):
        done = unblur("data", "import", "gopro", str(path), "--out", out)
        assert done.returncode == 1
        assert "is there already" in done.stderr
    assert (unblur.root / "made/package.json").read_text() == "{}"
    done = unblur("check_data", "--manifest", "made/g.csv", "data.min_side=16")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "18 pictures (test 3, train 3, val 3)" in done.stdout
    assert not (unblur.root / "reports/data_offenders.png").exists()
    shutil.copy(root / "test/GOPR0384_11_00/sharp/000009.png", root / "train/GOPR0372_07_00/sharp/000009.png")
    done = unblur("check_data", "data=gopro", "data.source.manifest=made/g.csv", "data.min_side=16")
    assert done.returncode == 1
    assert "near-duplicate in another split" in done.stdout
    assert "changed since the import" in done.stdout
    assert "thumbnails: reports/data_offenders.png" in done.stdout
    report = json.loads((unblur.root / "reports/data.json").read_text())
    assert report["errors"] == len(report["findings"]) > 0
    assert (unblur.root / "reports/data_offenders.png").is_file()
