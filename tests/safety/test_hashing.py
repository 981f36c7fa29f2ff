import hashlib

import pytest

from unblur.errors import UnblurError
from unblur.safety.hashing import LISTING, listed_copy, read_listed, sha256_file, write_listing


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"unblur")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"unblur").hexdigest()


def test_a_listed_file_that_was_changed_is_refused(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    write_listing([file], tmp_path)
    read_listed(file)
    file.write_bytes(b"weightz")
    with pytest.raises(UnblurError, match=r"model\.onnx: is not the file that was written here"):
        read_listed(file)
    file.unlink()
    with pytest.raises(UnblurError, match="is missing"):
        read_listed(file)


def test_what_nobody_listed_passes(tmp_path):
    file = tmp_path / "own.onnx"
    file.write_bytes(b"weights")
    read_listed(file)
    (tmp_path / LISTING).write_text("no JSON")
    read_listed(file)


def test_the_copy_holds_the_bytes_that_were_compared(tmp_path):
    file = tmp_path / "model.aoti.pt2"
    file.write_bytes(b"code" * 1_000_000)
    with pytest.raises(UnblurError, match=r"no sha256\.json beside it vouches for it"), listed_copy(file):
        pass
    write_listing([file], tmp_path)
    with listed_copy(file) as (copy, sha256):
        file.write_bytes(b"other code")  # exchanged after the look at it
        assert copy.read_bytes() == b"code" * 1_000_000
        assert copy.name == file.name
        assert copy.parent.stat().st_mode & 0o777 == 0o700
        assert sha256_file(copy) == sha256
    assert not copy.exists()
    with pytest.raises(UnblurError, match="is not the file that was written here"), listed_copy(file):
        pass
