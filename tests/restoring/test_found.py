import errno
import os

import pytest

from unblur.errors import UnblurError
from unblur.restoring.folder import plan_jobs
from unblur.restoring.found import UNLISTED, find_photos


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder with a photograph, a folder that may not be listed, and a hidden one of that kind."""
    root = tmp_path / "in"
    for name in ("one.png", "locked/two.png", ".trash/three.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith(("locked", ".trash")):  # no mode keeps root out
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    return root


def test_a_folder_that_cannot_be_listed_is_told_and_counted(locked, tmp_path):
    lines = []
    jobs, left_out = plan_jobs([locked], tmp_path / "out", unlisted=lines.append)
    assert [job.source for job in jobs] == [locked / "one.png"]
    assert left_out == {UNLISTED: 1, "hidden": 1}
    assert lines == [
        f"{locked / 'locked'}: cannot be listed (Permission denied); change its owner or mode, or move it away"
    ]


def test_where_nobody_listens_it_is_an_error(locked):
    with pytest.raises(UnblurError, match=r"in/locked: cannot be listed"):
        find_photos(locked)


def test_a_folder_whose_files_cannot_be_opened_is_none_that_is_listed(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/one.png").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found, left_out = find_photos(tmp_path / "in", unlisted=lambda line: None)
    assert (found, left_out[UNLISTED]) == ([], 1)
