import sys
import threading
from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.models.catalogue import find
from unblur.models.fetch import check_file, fetch


@pytest.fixture
def listed(room, shelf):
    """A model whose file is on the shelf."""
    room("there", shelf.content, source={"url": shelf.url}, file="there.onnx")
    return find("there")


def test_a_file_is_fetched_once_and_again_when_it_is_damaged(listed, shelf):
    with pytest.raises(UnblurError, match="is not on this machine; `unblur models get there` fetches it"):
        check_file(listed)
    assert fetch(listed)
    check_file(listed)
    assert listed.path.read_bytes() == shelf.content
    assert not fetch(listed)
    assert len(shelf.asked) == 1
    listed.path.write_bytes(b"damaged")
    with pytest.raises(UnblurError, match=r"there\.onnx: is not the file of there .*fetches it again"):
        check_file(listed)
    assert fetch(listed)
    check_file(listed)


def test_a_file_given_by_hand_needs_no_network_but_has_to_be_the_right_one(listed, shelf, tmp_path):
    given = tmp_path / "mine.onnx"
    given.write_bytes(shelf.content[:-1] + b"!")
    with pytest.raises(UnblurError, match=r"mine\.onnx: is not the file of there; expected 300000 bytes of SHA-256"):
        fetch(listed, given)
    assert not listed.path.exists()
    with pytest.raises(UnblurError, match="no such file"):
        fetch(listed, tmp_path / "nowhere.onnx")
    given.write_bytes(shelf.content)
    assert fetch(listed, given)
    assert listed.path.read_bytes() == given.read_bytes() == shelf.content
    assert shelf.asked == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that nobody can read")
def test_a_file_given_by_hand_that_cannot_be_read_is_named(room):
    room("empty", b"", source={"url": "https://example.com/x"}, file="empty.onnx")
    with pytest.raises(UnblurError, match=r"^/proc/self/mem: cannot be read \(Input/output error\); give a file that"):
        fetch(find("empty"), Path("/proc/self/mem"))  # of no bytes, and an error when they are read


def test_two_that_fetch_at_once_do_so_once(listed, shelf):
    threads = [threading.Thread(target=fetch, args=(listed,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_file(listed)
    assert shelf.asked == [None]


def test_what_npm_brings_is_checked(room, tmp_path, monkeypatch):
    room("packed", b"right\n", source={"npm": "thing@1.0.0"}, file="thing-1.0.0.tgz")
    script = tmp_path / "npm"
    script.touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    model = find("packed")
    script.write_text("#!/bin/sh\necho wrong > thing-1.0.0.tgz\n")
    with pytest.raises(UnblurError, match=r"thing@1\.0\.0: npm brought 6 bytes of SHA-256 .*; not kept"):
        fetch(model)
    assert not model.path.exists()
    script.write_text("#!/bin/sh\necho right > thing-1.0.0.tgz\n")
    assert fetch(model)
    check_file(model)


def test_what_comes_with_unblur_is_not_fetched(room):
    room("planned", None)
    room("inside", b"content")
    with pytest.raises(UnblurError, match="planned: not yet in this version of unblur; there is nothing to fetch"):
        fetch(find("planned"))
    assert not fetch(find("inside"))


def test_a_cache_that_cannot_be_written_is_one_line(listed, tmp_path):
    (tmp_path / "cache").write_text("a file where the cache folder should be")
    with pytest.raises(UnblurError, match="cannot be written"):
        fetch(listed)
