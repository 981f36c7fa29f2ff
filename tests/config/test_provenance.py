"""The commit and the data version that travel with every result."""

import subprocess
from pathlib import Path

import pytest

from unblur.config.provenance import GitState, data_version, git_state
from unblur.errors import UnblurError


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "reports").mkdir()
    for name in ("code.py", "dvc.lock", "reports/report.html"):
        (tmp_path / name).write_text("first\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "First")
    return tmp_path


def test_a_clean_commit(repository: Path) -> None:
    assert git_state(repository) == GitState(git(repository, "rev-parse", "HEAD"), "false")


def test_what_the_pipeline_writes_is_no_change(repository: Path) -> None:
    (repository / "dvc.lock").write_text("second\n")
    (repository / "reports/report.html").write_text("second\n")
    (repository / "untracked.txt").write_text("new\n")
    assert git_state(repository).dirty == "false"


def test_a_changed_tracked_file_is_dirty(repository: Path) -> None:
    (repository / "code.py").write_text("second\n")
    assert git_state(repository).dirty == "true"


def test_a_hook_of_another_repository_does_not_mislead(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(repository / "elsewhere"))
    assert git_state(repository).sha == sha


def test_without_a_commit_or_a_repository_it_is_unknown(tmp_path: Path) -> None:
    assert git_state(tmp_path) == GitState("unknown", "unknown")
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) == GitState("unknown", "unknown")


def test_without_git_it_is_unknown(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "nothing"))
    assert git_state(repository) == GitState("unknown", "unknown")


def test_the_data_version_is_what_dvc_records(tmp_path: Path) -> None:
    (tmp_path / "data.dvc").write_text(
        "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  size: 10\n  nfiles: 2\n  hash: md5\n  path: data\n"
    )
    assert data_version(tmp_path) == "0123456789abcdef0123456789abcdef.dir"


def test_no_data_file_is_unknown(tmp_path: Path) -> None:
    assert data_version(tmp_path) == "unknown"


@pytest.mark.parametrize("content", ["", "outs: []\n", "outs:\n- path: data\n", "outs: [\n", "- md5: x\n"])
def test_a_broken_data_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "data.dvc").write_text(content)
    with pytest.raises(UnblurError, match=r"data\.dvc"):
        data_version(tmp_path)
