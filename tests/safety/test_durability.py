"""Whatever fails or stops while files are written: nothing is lost, nothing is half, and the next run goes on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).with_name("faults")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library that counts, fails and stops a process's writes, syncs and renames."""
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, FAULTS / "shim.c", "-ldl"]
    subprocess.run(command, check=True)
    return library


def under_faults(scenario, shim, folder):
    """Run a scenario, every step of it made to fail and stopped before; return what came of it."""
    settings = {"LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1", "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(
        [sys.executable, FAULTS / "run.py", scenario, folder],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["checkpoint", "weights", "pack", "prepare"])
def test_files_are_old_or_new_and_never_half(scenario, shim, tmp_path):
    found = under_faults(scenario, shim, tmp_path / "place")
    assert found["problems"] == []
    assert min(found["kinds"].values()) >= 2  # writes, syncs and renames were all tried
    ways = 1 if scenario == "prepare" else 3  # beside the kill
    assert found["ends"] == {"done": 0, "refused": ways * found["steps"], "killed": found["steps"]}


@pytest.mark.slow
@pytest.mark.pipeline
@pytest.mark.parametrize("scenario", ["register", "ledger"])
def test_the_registry_is_old_or_new_and_never_half(scenario, shim, tmp_path):
    found = under_faults(scenario, shim, tmp_path / "place")
    assert found["problems"] == []
    assert found["ends"]["killed"] == found["steps"] >= 5
    assert found["ends"]["refused"] > 0
