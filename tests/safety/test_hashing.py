import hashlib

import pytest

from unblur.errors import UnblurError
from unblur.safety.hashing import LISTING, check_listed, sha256_file, write_listing


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"unblur")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"unblur").hexdigest()


def test_a_listed_file_that_was_changed_is_refused(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    write_listing([file], tmp_path)
    check_listed(file)
    file.write_bytes(b"weightz")
    with pytest.raises(UnblurError, match=r"model\.onnx: is not the file that was written here"):
        check_listed(file)
    file.unlink()
    with pytest.raises(UnblurError, match="is missing"):
        check_listed(file)


def test_what_nobody_listed_passes(tmp_path):
    file = tmp_path / "own.onnx"
    file.write_bytes(b"weights")
    check_listed(file)
    (tmp_path / LISTING).write_text("no JSON")
    check_listed(file)
