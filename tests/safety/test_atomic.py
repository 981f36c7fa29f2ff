"""A file is there whole or not at all."""

import pytest

from unblur.safety.atomic import replacing


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
