import hashlib

import pytest

from unblur.errors import UnblurError
from unblur.models.download import download


@pytest.fixture
def fetch(shelf, tmp_path):
    """Download what the shelf is to give, and return the bytes that were told on the way."""
    size, sha256 = len(shelf.content), hashlib.sha256(shelf.content).hexdigest()

    def run(url=shelf.url, size=size):
        told = []
        download(url, tmp_path / "model.onnx", size, sha256, told.append)
        return told

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_its_progress_is_told(fetch, shelf, tmp_path):
    told = fetch()
    assert (tmp_path / "model.onnx").read_bytes() == shelf.content
    assert (told[0], told[-1]) == (0, 300_000)
    assert names(tmp_path) == ["model.onnx"]


def test_what_broke_off_goes_on_from_there(fetch, shelf, tmp_path):
    shelf.breaks_at = 100_000
    with pytest.raises(UnblurError, match=r"broke off at 100000 of 300000 bytes; run the command again"):
        fetch()
    assert names(tmp_path) == ["model.onnx.part"]
    told = fetch()
    assert shelf.asked == [None, "bytes=100000-"]
    assert told[0] == 100_000
    assert (tmp_path / "model.onnx").read_bytes() == shelf.content


def test_a_server_that_knows_no_ranges_starts_over(fetch, shelf, tmp_path):
    (tmp_path / "model.onnx.part").write_bytes(b"x" * 1000)
    shelf.knows_ranges = False
    fetch()
    assert (tmp_path / "model.onnx").read_bytes() == shelf.content


def test_a_part_that_is_longer_than_the_servers_file_is_dropped(fetch, shelf, tmp_path):
    (tmp_path / "model.onnx.part").write_bytes(b"x" * 1000)
    whole, shelf.content = shelf.content, b"short"
    with pytest.raises(UnblurError, match="run the command again"):
        fetch()
    shelf.content = whole
    fetch()
    assert (tmp_path / "model.onnx").read_bytes() == whole


def test_a_part_that_is_whole_needs_no_server(fetch, shelf, tmp_path):
    (tmp_path / "model.onnx.part").write_bytes(shelf.content)
    fetch()
    assert shelf.asked == []
    assert names(tmp_path) == ["model.onnx"]


def test_another_file_is_refused_and_not_kept(fetch, shelf, tmp_path):
    shelf.content = shelf.content[:-1] + b"!"
    with pytest.raises(UnblurError, match=r"gave a file of SHA-256 .*, expected"):
        fetch()
    assert names(tmp_path) == []


def test_more_bytes_than_announced_are_refused(fetch, shelf, tmp_path):
    shelf.content *= 2
    with pytest.raises(UnblurError, match="sends more than the 300000 bytes"):
        fetch()
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


@pytest.mark.parametrize("address", ["http://example.com/model.onnx", "file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_only_https_is_fetched_even_behind_a_redirect(fetch, shelf, address, tmp_path):
    with pytest.raises(UnblurError, match="because it is no https address"):
        fetch(address)
    shelf.redirect = address
    with pytest.raises(UnblurError, match=r"because it is no https address|is not allowed"):
        fetch()
    assert names(tmp_path) == []


def test_a_server_that_is_not_there_is_one_line(fetch):
    with pytest.raises(UnblurError, match=r"127\.0\.0\.1:9/model\.onnx: cannot be fetched \(.*refused") as caught:
        fetch("http://127.0.0.1:9/model.onnx")
    assert "\n" not in str(caught.value)
