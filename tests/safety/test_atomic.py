"""A file is there whole or not at all."""

import errno
import os

import pytest

from unblur.safety.atomic import replacing, sync_folder


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "x.txt"
    with replacing(target) as unfinished:
        unfinished.write_text("a")
        assert not target.exists()
    assert target.read_text() == "a"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_keeps_what_was_there_and_leaves_nothing(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail():
        with replacing(target) as unfinished:
            unfinished.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "x.txt"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert target.read_text() == "1"


def test_what_was_there_may_be_kept(tmp_path):
    target, kept = tmp_path / "x.txt", tmp_path / "before.txt"
    for text in ("1", "2"):
        with replacing(target, keep=kept) as unfinished:
            unfinished.write_text(text)
    assert (target.read_text(), kept.read_text()) == ("2", "1")


def test_folders_that_cannot_be_brought_to_the_disk_are_passed_over_and_broken_ones_are_not(tmp_path, monkeypatch):
    def fail(number):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    code = errno.EINVAL  # as some network file systems answer
    sync_folder(tmp_path)
    code = errno.EIO
    with pytest.raises(OSError, match="Input/output") as told:
        sync_folder(tmp_path)
    assert told.value.filename == str(tmp_path)
