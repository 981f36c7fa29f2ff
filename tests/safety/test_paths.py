"""No user path leaves its root."""

import copy
import pickle

import pytest

from unblur.errors import UnblurError
from unblur.safety.paths import SafeName, SafePath, inside


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


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "../x", "/x", "a\\b", "a\0", "a\nb"])
def test_a_name_has_no_path_in_it(bad):
    with pytest.raises(UnblurError, match="is no plain name"):
        SafeName(bad)


@pytest.mark.parametrize("good", ["a", "IMG 3.v2", "..a", "\N{CJK UNIFIED IDEOGRAPH-5199}", "-x"])
def test_a_plain_name_stays_as_it_is_through_copies(good):
    assert copy.deepcopy(SafeName(good)) == good
    assert pickle.loads(pickle.dumps(SafeName(good))) == good


@pytest.mark.parametrize("bad", ["../x", "a/../../x", "a/../x", "/etc/passwd", "a\0b", ".."])
def test_a_listed_path_goes_down_only(bad):
    with pytest.raises(UnblurError, match="leads out of its folder"):
        SafePath(bad)
    assert SafePath("a/b..c/d.png") == "a/b..c/d.png"
    assert SafePath("") == ""
