"""Wheels by the real pip, from a folder instead of an index."""

import os
import subprocess
import sys

import pytest

from unblur.errors import UnblurError
from unblur.ingest.wheels import fetch_wheel


def test_a_wheel_is_fetched_once_and_not_installed(tmp_path, make_wheel):
    wheel = make_wheel("tinyphotos", "1.0", {"tinyphotos/a.txt": b"a"})
    fetched = fetch_wheel("tinyphotos==1.0", tmp_path / "cache")
    assert fetched.read_bytes() == wheel.read_bytes()
    assert fetched.parent == tmp_path / "cache" / "tinyphotos==1.0"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["tinyphotos==1.0"]
    wheel.unlink()  # the second time the cache answers, without pip
    assert fetch_wheel("tinyphotos==1.0", tmp_path / "cache") == fetched
    assert subprocess.run([sys.executable, "-c", "import tinyphotos"], capture_output=True, check=False).returncode == 1


def test_the_wheel_of_one_python_and_system_is_taken_everywhere(tmp_path, make_wheel, monkeypatch):
    """Some of the list's wheels hold compiled code; every machine takes the files out of the same ones.

    The constraints of an installation do not get in the way.
    """
    (tmp_path / "constraints.txt").write_text("tinyphotos==2.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    for tag in ("cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64", "cp314-cp314-macosx_11_0_arm64"):
        make_wheel("tinyphotos", "1.0", {"tinyphotos/a.txt": tag.encode()}, tag=tag)
    assert "cp311-manylinux" in fetch_wheel("tinyphotos==1.0", tmp_path / "cache").name


def test_a_version_that_is_not_there_is_one_line(tmp_path, make_wheel):
    make_wheel("tinyphotos", "1.0", {"tinyphotos/a.txt": b"a"})
    with pytest.raises(UnblurError, match=r"tinyphotos==2\.0: pip could not download it: .*tinyphotos==2\.0") as caught:
        fetch_wheel("tinyphotos==2.0", tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_an_index_that_cannot_be_reached_is_said_so(tmp_path, make_wheel, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nothing listens on the discard port
    with pytest.raises(UnblurError, match=r"the package index cannot be reached; check the network"):
        fetch_wheel("tinyphotos==1.0", tmp_path / "cache")


@pytest.mark.parametrize("bad", ["--index-url=evil", "a", "a>=1", "a==1 b==2", "../a==1", "a==1/../..", ""])
def test_only_a_pinned_requirement_reaches_pip(tmp_path, bad):
    with pytest.raises(UnblurError, match="not a pinned requirement"):
        fetch_wheel(bad, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
