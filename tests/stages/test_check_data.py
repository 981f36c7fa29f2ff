"""`unblur check-data` from the command line: the table, the report and the exit code."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unblur.data.images import write_png

PROJECT = Path(__file__).parents[2]


@pytest.mark.pipeline
def test_warnings_pass_and_an_error_fails_after_the_report_is_written(tmp_path, make_photo):
    data = tmp_path / "data"
    grey = make_photo(seed=1)
    grey[:] = grey[..., :1]
    write_png(data / "photos" / "a.png", make_photo(seed=0))
    write_png(data / "photos" / "b [x].png", grey)
    sha256 = {
        name: hashlib.sha256((data / "photos" / name).read_bytes()).hexdigest() for name in ("a.png", "b [x].png")
    }
    entries = [
        {"file": f"photos/{name}", "licence": "CC0", "split": "train", "sha256": sha256[name]} for name in sha256
    ]
    (data / "SOURCES.json").write_text(json.dumps(entries))

    def check_data():
        command = [sys.executable, "-m", "unblur.stages.check_data", "paths.data=data", "paths.reports=reports"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "COLUMNS": "200"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = check_data()
    assert done.returncode == 0, done.stderr
    assert "photos/b [x].png" in done.stdout
    assert "2 pictures (train 2)" in done.stdout
    assert json.loads((tmp_path / "reports" / "data.json").read_text())["warnings"] == 1

    (data / "photos" / "a.png").write_bytes(b"not a picture")
    done = check_data()
    assert done.returncode == 1
    assert "unreadable" in done.stdout
    assert done.stderr.startswith("error: 2 of the findings would poison training, the first: photos/a.png")
    assert len(done.stderr.splitlines()) == 1
    report = json.loads((tmp_path / "reports" / "data.json").read_text())
    assert {item["problem"] for item in report["findings"]} == {"unreadable", "wrong hash", "grey"}
