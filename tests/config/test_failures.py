"""What libraries raise, raised for real where this machine can, is one line with a name and a mend."""

import errno
import os
import sqlite3

import pytest
import requests
import sqlalchemy
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from safetensors import SafetensorError

from unblur.config.entry import exit_codes
from unblur.config.failures import explain, of_worker
from unblur.safety.atomic import replacing


def ended(error, capsys):
    """Return (exit code, stderr) of a command that raises this."""
    with pytest.raises(SystemExit) as told, exit_codes():
        raise error
    return told.value.code, capsys.readouterr().err


KINDS = ["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "EFBIG", "ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG"]


@pytest.mark.parametrize("kind", [*KINDS, "EMFILE", "ENFILE", "EIO", "ESTALE", "EEXIST", "EINVAL", "ELOOP", "EBUSY"])
def test_every_error_of_the_system_names_the_file(kind, capsys):
    number = getattr(errno, kind)
    code, line = ended(OSError(number, os.strerror(number), "/somewhere/photo.png"), capsys)
    assert code == 1
    assert line.startswith("error: /somewhere/photo.png: ")
    assert line.count("\n") == 1
    assert "unexpected" not in line


MLFLOW = [name for name, _ in codes.ErrorCode.items()]


@pytest.mark.parametrize("kind", MLFLOW)
def test_every_error_of_mlflow_is_one_line_without_a_password(kind, capsys):
    text = "API request to https://me:secret@server/api\nfailed"
    code, line = ended(MlflowException(text, getattr(codes, kind)), capsys)
    assert code == 1
    assert line.startswith("error: MLflow: ")
    assert line.count("\n") == 1
    assert "unexpected" not in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4"), "another process"),
        (torch.distributed.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:77"), "another process"),
        (RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0"), "the disk is full"),
        (SafetensorError("Error while serializing: No space left on device (os error 28)"), "the disk is full"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "data.num_workers"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("Error(s) in loading state_dict for RestorationModule:\n\tsize mismatch"), "train.resume=false"),
        (requests.ConnectionError("http://me:secret@host refused"), "a server cannot be reached"),
        (TimeoutError("timed out"), "a server cannot be reached"),
        (sqlite3.OperationalError("database or disk is full"), "mlflow.db: the disk is full"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "mlflow.db: lies on a file system"),
        (OSError("cannot identify image file 'a.png'"), "cannot identify image file 'a.png'"),
    ],
)
def test_what_torch_sqlite_and_the_network_raise(error, says, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, line = ended(error, capsys)
    assert code == 1
    assert says in line
    assert line.count("\n") == 1
    assert "unexpected" not in line.replace("unexpected pos", "")
    assert "secret" not in line


def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path, capsys):
    def fill():
        with replacing(tmp_path / "model.bin") as unfinished:
            unfinished.symlink_to("/dev/full")
            with unfinished.open("wb") as stream:
                stream.write(b"x")

    with pytest.raises(OSError, match="No space") as told:
        fill()
    _, line = ended(told.value, capsys)
    assert f"{tmp_path / 'model.bin'}: the disk is full" in line
    assert "MB free" in line
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_and_a_missing_database(tmp_path, monkeypatch):
    (tmp_path / "damaged.db").write_bytes(b"no database" * 1000)
    (tmp_path / "folder.db").mkdir()
    for name, says in (("damaged.db", "is damaged"), ("folder.db", "may not be written"), ("no/such.db", "its folder")):
        uri = f"sqlite:///{tmp_path / name}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(sqlalchemy.exc.DatabaseError) as told:
            sqlalchemy.create_engine(uri).connect().exec_driver_sql("SELECT * FROM experiments")
        line = explain(told.value)
        assert line is not None
        assert line.startswith(f"{tmp_path / name}: ")
        assert says in line


def test_the_line_of_an_error_in_a_loaders_process():
    text = "Caught UnblurError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File\n"
    assert of_worker(text + "unblur.errors.UnblurError: a.png: is damaged\n") == "a.png: is damaged"
    assert of_worker("a.png: is damaged") == "a.png: is damaged"


def test_what_nobody_has_thought_of_still_says_so():
    assert explain(ZeroDivisionError("division by zero")) is None
