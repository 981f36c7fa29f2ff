import csv

import pytest

from unblur.errors import UnblurError
from unblur.evaluation.plot_data import read_history, write_strength_bins, write_strength_gain, write_training

MAIN = "psnr/literature"
HISTORY = "step,train_loss,val_psnr\n50,0.05,\n100,0.04,26.5\n150,0.035,27.25\n"


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_strength_gain_has_a_row_a_pair(tmp_path, make_scores):
    write_strength_gain(tmp_path / "plots" / "strength_gain.csv", make_scores(), MAIN)
    rows = read(tmp_path / "plots" / "strength_gain.csv")
    assert len(rows) == 6
    assert rows[3] == {
        "pair": "pair_3", "kind": "shake", "strength": "8.0", "blurred": "30.0", "model": "29.75", "gain": "-0.25"
    }  # fmt: skip


def test_strength_bins_has_every_method(tmp_path, make_scores):
    write_strength_bins(tmp_path / "bins.csv", make_scores(), MAIN)
    rows = {(row["method"], row["strength"]): row for row in read(tmp_path / "bins.csv")}
    assert len(rows) == 8
    assert float(rows["model", "nearly sharp"]["gain"]) == pytest.approx(1.5)
    assert float(rows["wiener", "over 14 px"]["gain"]) == pytest.approx(-5)


def test_history_is_copied_with_its_gaps(tmp_path):
    source = tmp_path / "history.csv"
    source.write_text(HISTORY)
    history = read_history(source)
    assert history[0] == {"step": 50.0, "train_loss": 0.05, "val_psnr": None}
    write_training(tmp_path / "training.csv", history)
    assert read_history(tmp_path / "training.csv") == history
    assert read(tmp_path / "training.csv")[0]["val_psnr"] == ""


def test_no_history_is_an_empty_curve(tmp_path):
    assert read_history(tmp_path / "history.csv") == []
    write_training(tmp_path / "training.csv", [])
    assert (tmp_path / "training.csv").read_text() == "step,train_loss,val_psnr\n"


@pytest.mark.parametrize("content", ["step,loss\n1,2\n", "step,train_loss,val_psnr\n1,high,2\n"])
def test_a_broken_history_is_told(tmp_path, content):
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(UnblurError, match=r"line 2: .*run `unblur train` again"):
        read_history(tmp_path / "history.csv")
