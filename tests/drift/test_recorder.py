"""Rows on their way to the disk: batches, retention, failures, and a process that is killed."""

import logging
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from unblur.drift.columns import read_rows
from unblur.drift.recorder import MOMENT, NAME, Recorder
from unblur.drift.statistics import measure
from unblur.errors import UnblurError
from unblur.restoring.answer import Answer


@pytest.fixture
def record(tmp_path):
    """`record(**options)`: a recorder of tmp_path/statistics, closed in the end."""
    opened = []

    def start(**options):
        opened.append(Recorder(tmp_path / "statistics", **options))
        return opened[-1]

    yield start
    for recorder in opened:
        recorder.close()


def files(recorder):
    return sorted(path for path in recorder.folder.iterdir() if path.suffix == ".parquet")


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_full_batch_is_written_at_once_and_the_rest_when_closed(record, make_rows):
    rows = make_rows(25, 0)
    recorder = record(rows=10, seconds=3600)
    for row in rows[:10]:
        recorder.add(row)
    wait_for(lambda: len(files(recorder)) == 1)
    for row in rows[10:15]:
        recorder.add(row)
    recorder.close()
    found = [row["brightness"] for path in files(recorder) for row in read_rows(path).to_pylist()]
    assert sorted(found) == sorted(row["brightness"] for row in rows[:15])
    assert all(NAME.fullmatch(path.name) for path in files(recorder))


def test_what_waits_is_written_after_a_while(record, make_rows):
    recorder = record(rows=10, seconds=0.05)
    recorder.add(make_rows(1, 0)[0])
    wait_for(lambda: files(recorder))


def test_a_row_of_a_photograph(record, make_photo, tmp_path):
    photo = make_photo()
    Image.fromarray(photo).save(tmp_path / "photo.jpg", quality=83)
    recorder = record()
    observe = recorder.observer(tmp_path / "photo.jpg", "f" * 64)
    observe(photo, Answer(photo // 2, share=0.5, guarded=2))
    recorder.flush()
    (row,) = read_rows(files(recorder)[0]).to_pylist()
    assert datetime.now(UTC) - row.pop("time") < timedelta(minutes=1)
    assert 0 <= row.pop("milliseconds") < 10_000
    expected = {**measure(photo, photo // 2), "model": "f" * 64, "strength": 0.5, "guarded": "some"}
    assert row == {**expected, "format": "JPEG", "quality": 83}


def test_a_photograph_as_large_as_the_server_takes_has_a_row(record, make_photo, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    photo, recorder = make_photo(), record()
    Image.fromarray(photo).save(tmp_path / "large.png")
    content = bytearray((tmp_path / "large.png").read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 15_000)  # of which nobody decodes the pixels once more
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "large.png").write_bytes(content)
    recorder.observer(tmp_path / "large.png", "f" * 64, 300_000_000)(photo, Answer(photo))
    recorder.flush()
    (row,) = read_rows(files(recorder)[0]).to_pylist()
    assert row["format"] == "PNG"


def test_files_may_be_kept_for_ever(record, make_rows, caplog):
    recorder = record(days=1e8)
    for _ in range(2):
        recorder.add(make_rows(1, 0)[0])
        recorder.flush()
    assert (len(files(recorder)), caplog.messages) == (2, [])


def test_old_files_and_the_oldest_beyond_the_limit_go(record, make_rows, tmp_path):
    folder = tmp_path / "statistics"
    recorder = record(days=30, megabytes=0.03)
    ages = [timedelta(days=days) for days in (40, 20, 10)]
    names = [f"{datetime.now(UTC) - age:{MOMENT}}-01234567.parquet" for age in ages]
    for name in names:
        (folder / name).write_bytes(b"x" * 20_000)
    (folder / "mine.txt").write_text("stays")
    recorder.add(make_rows(1, 0)[0])
    recorder.flush()
    left = {path.name for path in folder.iterdir()}
    assert names[0] not in left  # 40 days
    assert names[1] not in left  # with the new one and that of 10 days over 30 kB
    assert names[2] in left
    assert "mine.txt" in left
    assert len([name for name in left if name.endswith(".parquet")]) == 2


def test_a_folder_of_somebody_else_is_refused(tmp_path, record):
    (tmp_path / "statistics").mkdir()
    (tmp_path / "statistics" / "photo.jpg").write_bytes(b"")
    with pytest.raises(UnblurError, match=r"statistics: holds photo\.jpg"):
        record()


def test_a_folder_is_taken_up_again(record, make_rows):
    for _ in range(2):
        recorder = record()
        recorder.add(make_rows(1, 0)[0])
        recorder.close()
    assert len(files(recorder)) == 2


def test_a_disk_that_fails_loses_no_row_and_is_told_once(record, make_rows, caplog, monkeypatch):
    rows = make_rows(5, 0)
    recorder = record(rows=2, seconds=3600)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR, "unblur.serving"):
        patched.setattr("unblur.drift.recorder.write_rows", full)
        for row in rows:
            recorder.add(row)
            recorder.flush()
    assert len([line for line in caplog.messages if "statistics cannot be written" in line]) == 1
    recorder.flush()
    assert sum(read_rows(path).num_rows for path in files(recorder)) == 5


def test_a_picture_that_cannot_be_measured_fails_no_restoration(record, tmp_path, make_photo, caplog):
    recorder = record()
    with caplog.at_level(logging.ERROR, "unblur.serving"):
        recorder.observer(tmp_path / "gone.jpg", "")(make_photo(), Answer(make_photo()))
    assert "a photograph's statistics could not be taken" in caplog.text


def test_a_killed_process_loses_the_last_batch_alone(tmp_path):
    program = """
import sys, time
from pathlib import Path
from unblur.drift.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), rows=10, seconds=3600)
for number in range(35):
    recorder.add({"brightness": float(number)})
    if number % 10 == 9:
        while recorder._waiting or recorder._writing.locked():
            time.sleep(0.01)
print("added", flush=True)
time.sleep(60)
"""
    folder = tmp_path / "statistics"
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "added\n"
        os.kill(process.pid, signal.SIGKILL)
    found = np.concatenate([read_rows(path)["brightness"].to_numpy() for path in folder.glob("*.parquet")])
    assert sorted(found) == list(range(30))
