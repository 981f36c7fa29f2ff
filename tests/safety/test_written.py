"""A folder's list says which files are ours and what they were made of, whenever the writer was killed."""

import pytest

from unblur.safety.written import LIST, Made, read_lines, recorded, state

MADE = Made("a" * 64, "b" * 64, {"tile": 512, "sizes": (1, 2)})
OTHER = Made("a" * 64, "b" * 64, {"tile": 256})


def write(target, text="restored", made=MADE):
    with recorded(target, made):
        target.write_text(text)


def test_a_file_is_done_ours_or_a_strangers(tmp_path):
    target = tmp_path / "new" / "a.png"
    assert state(target, MADE) == "new"
    write(target)
    assert state(target, MADE) == "done"
    assert state(target, OTHER) == "ours"
    write(target, "other", OTHER)
    assert (state(target, MADE), state(target, OTHER)) == ("ours", "done")
    target.write_text("changed by hand")
    assert state(target, MADE) == "done"  # whoever changed it wants to keep it
    assert state(target, Made("c" * 64, "b" * 64)) == "foreign"
    (tmp_path / "new" / "b.png").write_text("mine")
    assert state(tmp_path / "new" / "b.png", MADE) == "foreign"


def test_a_kill_while_it_is_written_makes_it_neither_done_nor_a_strangers(tmp_path):
    target = tmp_path / "a.png"
    write(target)
    whole = (tmp_path / LIST).read_text().splitlines(keepends=True)
    (tmp_path / LIST).write_text(whole[0])  # killed before the second line
    assert state(target, MADE) == "ours"
    (tmp_path / LIST).write_text(whole[0] + whole[1][:30])  # or within it
    assert state(target, MADE) == "ours"
    write(target)
    assert state(target, MADE) == "done"
    assert len(read_lines(tmp_path)) == 3


def test_a_failure_vouches_for_nothing(tmp_path):
    target = tmp_path / "a.png"

    def fail():
        with recorded(target, MADE):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    target.write_text("mine")
    assert state(target, OTHER) == "foreign"
