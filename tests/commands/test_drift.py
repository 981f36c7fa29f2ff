"""`unblur drift` as a process: exit codes, table, page, JSON, webhook, and mistakes in one line."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from unblur.commands.drift import main
from unblur.drift.columns import read_rows, write_rows

START = datetime(2026, 5, 1, tzinfo=UTC)


def rows(count, seed, brightness=110.0, model="a" * 64):
    rng = np.random.default_rng(seed)
    return [
        {
            "time": START + timedelta(minutes=index),
            "model": model,
            "brightness": float(rng.normal(brightness, 30)),
            "change": float(rng.exponential(3)),
            "format": str(rng.choice(["JPEG", "PNG"])),
        }
        for index in range(count)
    ]


@pytest.fixture
def folder(tmp_path):
    write_rows(tmp_path / "reference.parquet", rows(1000, 0))
    write_rows(tmp_path / "same" / "a.parquet", rows(200, 1))
    write_rows(tmp_path / "dark" / "a.parquet", rows(200, 2, brightness=70))
    return tmp_path


@pytest.fixture
def drift(folder):
    def run(*arguments):
        command = [sys.executable, "-m", "unblur", "drift", *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


def test_no_drift_is_0_and_drift_is_4(drift):
    done = drift("same", "reference.parquet")
    assert done.returncode == 0, done.stderr
    assert "No drift (200 photographs against 1000)" in done.stdout
    done = drift("dark", "reference.parquet")
    assert done.returncode == 4, done.stderr
    assert "Drift: brightness (200 photographs against 1000)" in done.stdout
    assert "What next?" in done.stdout
    assert "unblur retrain" in done.stdout
    assert done.stderr == ""


def test_the_page_is_one_file_without_scripts(drift, folder):
    assert drift("dark", "reference.parquet", "--out", "pages/page.html").returncode == 4
    page = (folder / "pages" / "page.html").read_text()
    assert '<h1 class="harm">Drift: brightness</h1>' in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href|srcset)=\"(?!data:)", page)
    assert page.count("<figure>") == 3
    assert "<code>unblur retrain</code>" in page
    assert drift("same", "reference.parquet", "--out", "pages/page.html").returncode == 0  # our own is replaced
    assert "<h1>No drift</h1>" in (folder / "pages" / "page.html").read_text()


def test_a_file_of_somebody_else_is_not_replaced(drift, folder):
    (folder / "mine.html").write_text("mine")
    done = drift("dark", "reference.parquet", "--out", "mine.html")
    assert (done.returncode, (folder / "mine.html").read_text()) == (1, "mine")
    assert "--overwrite" in done.stderr
    assert drift("dark", "reference.parquet", "--out", "mine.html", "--overwrite").returncode == 4


def test_json(drift):
    done = drift("dark", "reference.parquet", "--json")
    assert done.returncode == 4
    found = json.loads(done.stdout)
    assert found["drift"] is True
    assert found["photographs"] == [200, 1000]
    assert {each["name"]: each["drifted"] for each in found["statistics"]} == {
        "brightness": True,
        "format": False,
        "change": False,
    }


def test_a_kept_window_is_a_reference(drift, folder):
    assert drift("dark", "--keep", "kept.parquet").returncode == 0
    assert read_rows(folder / "kept.parquet").num_rows == 200
    assert drift("dark", "kept.parquet").returncode == 0
    assert drift("same", "kept.parquet").returncode == 4


def test_a_time_is_chosen(drift, folder):
    later = [{**row, "time": row["time"] + timedelta(days=1)} for row in rows(200, 3)]
    write_rows(folder / "dark" / "b.parquet", later)
    assert drift("dark", "reference.parquet", "--since", "2026-05-02").returncode == 0
    assert drift("dark", "reference.parquet", "--until", "2026-05-02T00:00").returncode == 4
    done = drift("dark", "reference.parquet", "--since", "2027-01-01")
    assert (done.returncode, done.stderr) == (1, "error: dark: 0 photographs, at least 50 are needed to compare\n")


def test_damaged_files_are_named_and_told_by_the_exit_code(drift, folder):
    (folder / "same" / "b.parquet").write_bytes(b"PAR1")
    done = drift("same", "reference.parquet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: same/b.parquet: cannot be read as Parquet")
    assert "No drift" in done.stdout
    (folder / "dark" / "b.parquet").write_bytes(b"")
    assert drift("dark", "reference.parquet").returncode == 4  # drift is what has to be known


def test_several_models_are_noted(drift, folder):
    write_rows(folder / "same" / "b.parquet", rows(100, 5, model="b" * 64))
    assert "note: the window holds answers of 2 models" in drift("same", "reference.parquet").stdout
    write_rows(folder / "other.parquet", rows(100, 5, model="b" * 64))
    assert "were answered by different models" in drift("other.parquet", "reference.parquet").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "WINDOW"),
        (("nowhere", "reference.parquet"), 1, "nowhere: there is no such file or folder"),
        (("same", "nowhere"), 1, "nowhere: there is no such file or folder"),
        (("same",), 1, "artifacts/prepared: there is no such file or folder"),
        (("same", "reference.parquet", "--since", "yesterday"), 2, "--since"),
        (("same", "reference.parquet", "--since", "0001-01-01T00:00+05:00"), 2, "--since: 0001-01-01T00:00+05:00: "),
        (("same", "reference.parquet", "--until", "9999-12-31T23:00-05:00"), 2, "outside the calendar"),
        (("same", "reference.parquet", "--alpha", "2"), 2, "--alpha"),
        (("same", "--keep", "kept.csv"), 2, "ends in .parquet"),
        (("same", "reference.parquet", "--keep", "kept.parquet"), 2, "leave out REFERENCE"),
        (("same", "reference.parquet", "--webhook", "host/s3cr3t"), 2, "http://HOST/PATH"),
    ],
)
def test_mistakes(drift, arguments, code, says):
    done = drift(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cr3t" not in done.stderr.replace(" ".join(arguments), "")


def test_a_webhook_that_is_not_there_is_a_line_and_the_code_stays(drift):
    done = drift("dark", "reference.parquet", "--webhook", "http://127.0.0.1:9/s3cr3t")
    assert done.returncode == 4
    assert done.stderr.startswith("error: --webhook: 127.0.0.1 cannot be reached")
    assert "s3cr3t" not in done.stdout + done.stderr


def test_a_token_with_a_line_end_is_sent_and_one_that_cannot_be_is_told_before_the_work(drift, monkeypatch):
    monkeypatch.setenv("UNBLUR_WEBHOOK_TOKEN", "s3cr3t\r")
    done = drift("dark", "reference.parquet", "--webhook", "http://127.0.0.1:9/")
    assert done.returncode == 4
    assert done.stderr.startswith("error: --webhook: 127.0.0.1 cannot be reached")
    monkeypatch.setenv("UNBLUR_WEBHOOK_TOKEN", "s3cr3t two")
    done = drift("nowhere", "reference.parquet", "--webhook", "http://127.0.0.1:9/")
    assert done.returncode == 2
    assert done.stderr.startswith("error: UNBLUR_WEBHOOK_TOKEN: holds a space")
    assert "s3cr3t" not in done.stdout + done.stderr


def test_photographs_above_the_limit_of_pillow_are_read(tmp_path, make_photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # in place of 89 megapixels
    for number in range(50):
        Image.fromarray(make_photo(32, 32, seed=number)).save(tmp_path / f"{number}.png")
    assert main.__wrapped__([str(tmp_path), "--keep", str(tmp_path / "kept.parquet")]) == 0
    assert read_rows(tmp_path / "kept.parquet").num_rows == 50
