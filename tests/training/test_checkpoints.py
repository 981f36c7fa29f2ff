"""Checkpoints cut, emptied, flipped and of a full disk."""

import errno

import pytest
import torch

from unblur.training.checkpoints import KeptCheckpoints, log, newest_readable


@pytest.fixture
def folder(tmp_path):
    """A folder with two checkpoints: last.ckpt of step 2, previous.ckpt of step 1."""
    for step in (1, 2):
        KeptCheckpoints().save_checkpoint({"step": step, "weights": torch.full((5000,), step)}, tmp_path / "last.ckpt")
    return tmp_path


def step(path):
    return torch.load(path, weights_only=True)["step"]


def test_the_one_before_is_kept_and_nothing_else(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert (step(folder / "last.ckpt"), step(folder / "previous.ckpt")) == (2, 1)
    assert newest_readable(folder) == folder / "last.ckpt"
    assert newest_readable(folder / "none") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "flipped", "head", "text"])
def test_a_damaged_one_is_named_and_set_aside(folder, damage, caplog, monkeypatch):
    # MLflow's migrations disable every logger that is there, in whatever test made a store before this one.
    monkeypatch.setattr(log, "disabled", False)
    path = folder / "last.ckpt"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    content = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "zeros": bytes(len(content)),
        "flipped": content,
        "head": content[100:],
        "text": b"no checkpoint",
    }[damage]
    path.write_bytes(content)
    assert newest_readable(folder) == folder / "previous.ckpt"
    assert f"{path}: is damaged" in caplog.text
    assert caplog.text.count("\n") == 1
    assert sorted(each.name for each in folder.iterdir()) == ["last.ckpt.unreadable", "previous.ckpt"]


def test_with_both_damaged_the_training_starts_anew(folder):
    for name in ("last.ckpt", "previous.ckpt"):
        (folder / name).write_bytes(b"")
    assert newest_readable(folder) is None


def test_another_process_leaves_it_where_it_is(folder, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    (folder / "last.ckpt").write_bytes(b"")
    assert newest_readable(folder) == folder / "previous.ckpt"
    assert (folder / "last.ckpt").is_file()


class Refused:
    """Cannot be written, as on a full disk."""

    def __reduce__(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_checkpoint_that_was_there(folder):
    with pytest.raises(OSError, match="No space") as told:
        KeptCheckpoints().save_checkpoint({"step": Refused()}, folder / "last.ckpt")
    assert told.value.filename == str(folder / "last.ckpt")
    assert step(folder / "last.ckpt") == 2
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]
