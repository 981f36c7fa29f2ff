"""npm itself is another's program: a script in its place tells how it is called and what becomes of its answers."""

import pytest

from unblur.errors import UnblurError
from unblur.models.npm import npm_pack


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put a shell script before every other npm."""
    (tmp_path / "bin").mkdir()

    def install(script):
        path = tmp_path / "bin" / "npm"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    return install


def test_the_package_is_what_npm_packs(npm, tmp_path):
    npm('echo "$@" > thing-1.0.0.tgz')
    packed = npm_pack("thing@1.0.0", tmp_path)
    assert packed == tmp_path / "thing-1.0.0.tgz"
    assert packed.read_text() == "pack thing@1.0.0 --ignore-scripts --silent\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "thing-1.0.0.tgz"]


def test_what_npm_says_is_told_in_one_line(npm, tmp_path):
    npm("echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1")
    with pytest.raises(UnblurError, match=r"thing@1: npm cannot fetch it \(code E404\); or give the file with --from"):
        npm_pack("thing@1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_without_npm_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnblurError, match=r"there is no npm .* 'unblur\[models\]'"):
        npm_pack("thing@1", tmp_path)
