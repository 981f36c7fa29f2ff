"""`make repro` and what a killed run leaves behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("content", ["", "schema: '2.0'\nstages:\n  train:\n    cmd: 'unblur tr"])
def test_a_lock_file_that_was_cut_off_is_told_with_its_mend(tmp_path: Path, content: str) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / ".venv/.installed").touch()
    (tmp_path / "dvc.lock").write_text(content)
    done = subprocess.run(["make", "repro"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "error: dvc.lock was cut off while DVC wrote it; bring it back: git checkout dvc.lock" in done.stderr
    assert "unblur data starter" not in done.stdout
