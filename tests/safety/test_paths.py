"""No user path leaves its root."""

import pytest

from unblur.errors import UnblurError
from unblur.safety.paths import file_name, inside


def test_a_path_below_the_root_is_returned_absolute(tmp_path):
    assert inside(tmp_path, "a/b.png") == tmp_path.resolve() / "a" / "b.png"
    assert inside(tmp_path, "a/../b.png") == tmp_path.resolve() / "b.png"


@pytest.mark.parametrize("bad", ["../x", "a/../../x", "/etc/passwd", "", "a\0b", ".."])
def test_an_escape_is_refused_with_the_path_named(tmp_path, bad):
    with pytest.raises(UnblurError) as caught:
        inside(tmp_path / "root", bad)
    assert repr(bad) in str(caught.value)


def test_an_absolute_path_is_refused_even_below_the_root(tmp_path):
    with pytest.raises(UnblurError, match="leads out"):
        inside(tmp_path, str(tmp_path / "x"))


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(UnblurError, match="leads out"):
        inside(tmp_path / "root", "link/x.png")


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(UnblurError, match="leads out"):
        inside(tmp_path / "data", "../data2/x.png")


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "a\\b", "/a", "C:a", "a\0", "a\n", "a" * 241])
def test_what_is_no_name_of_a_file_is_refused(name):
    with pytest.raises(UnblurError, match="no name of a file"):
        file_name(name)


@pytest.mark.parametrize("name", ["scene_000001", "..a", "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber a", "a" * 240])
def test_names_of_files_pass(name):
    assert file_name(name) == name
