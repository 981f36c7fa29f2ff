"""The tracking store: made once and whole, and what is said where it is damaged."""

import subprocess
import sys
from pathlib import Path

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError


def test_first_uses_at_once_make_one_store_and_remove_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ending in ("part", "part-journal", "part2"):
        (tmp_path / f".mlflow.db.0123abcd.{ending}").touch()
    (tmp_path / ".other.db.0123abcd.part").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    code = "from unblur.config.tracking import tracking_client as c; print(len(c().search_experiments()))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in started] == ["1", "1"]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".other.db.0123abcd.part", "mlflow.db", "mlflow.db.lock"]


def test_a_database_whose_driver_is_missing_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://ada:secret@127.0.0.1/mlflow")
    monkeypatch.setitem(sys.modules, "MySQLdb", None)  # as if it were not installed, where it is
    with pytest.raises(UnblurError, match=r"mysql://\*\*\*@127.* pip install 'mysqlclient', or use a server"):
        tracking_client()


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "is empty"), (b"garbage of 20 bytes..", "is no SQLite database")]
)
def test_a_damaged_store_is_not_taken_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(UnblurError, match=rf"mlflow\.db {message}"):
        tracking_client()
    assert (tmp_path / "mlflow.db").read_bytes() == content
