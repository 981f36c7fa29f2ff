from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.records.training import (
    Step,
    Training,
    noted_training,
    read_history,
    read_training,
    write_history,
    write_training,
)

CURVE = "step,train_loss,val_psnr\n50,0.05,\n100,0.04,26.5\n150,0.035,27.25\n"


def test_a_curve_is_read_with_its_gaps_and_written_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "history.csv"
    source.write_text(CURVE)
    history = read_history(source)
    assert history == [Step(50, 0.05, None), Step(100, 0.04, 26.5), Step(150, 0.035, 27.25)]
    write_history(tmp_path / "training.csv", history)
    assert (tmp_path / "training.csv").read_text() == CURVE


def test_no_curve_is_an_empty_one(tmp_path: Path) -> None:
    assert read_history(tmp_path / "history.csv") == []
    write_history(tmp_path / "training.csv", [])
    assert (tmp_path / "training.csv").read_text() == "step,train_loss,val_psnr\n"


@pytest.mark.parametrize("content", ["step,loss\n1,2\n", "step,train_loss,val_psnr\n1,high,2\n"])
def test_a_broken_curve_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(UnblurError, match=r"line 2: .*write it again with `unblur train`"):
        read_history(tmp_path / "history.csv")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Training(model_sha256="a" * 64, run_id=None, seed=3, seconds=1.5, val_psnr=1 / 3, resumed=True)
    write_training(record, [Step(1, 0.5, 20.0)], tmp_path)
    assert read_training(tmp_path) == noted_training(tmp_path) == record
    assert read_history(tmp_path / "history.csv") == [Step(1, 0.5, 20.0)]


def test_what_an_older_version_did_not_record_is_empty(tmp_path: Path) -> None:
    assert noted_training(tmp_path) == Training()
    (tmp_path / "run.json").write_text('{"seed": 3, "a_key_of_later": 1}')
    assert read_training(tmp_path) == Training(seed=3)


@pytest.mark.parametrize("content", ["{", "[1]", "", '{"seed": "x"}'])
def test_a_broken_record_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UnblurError, match=r"run\.json.*`unblur train`"):
        noted_training(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(UnblurError, match=r"run\.json is not there; write it with `unblur train`"):
        read_training(tmp_path)
