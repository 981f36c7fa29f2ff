import math
import subprocess
import sys

import pytest

from unblur.errors import UnblurError
from unblur.evaluation.score_table import (
    COLUMNS,
    Score,
    gains,
    mean_by,
    mean_table,
    rank_pairs,
    read_scores_csv,
    write_scores_csv,
)


def test_written_and_read_scores_are_equal(tmp_path):
    scores = [
        Score("a, with comma", "model", "shake", 1 / 3, "psnr/literature", math.pi * 10),
        Score('b "quoted"', "blurred", "identity", 0.0, "ssim/matlab3d", 0.1 + 0.2),
    ]
    path = tmp_path / "deep" / "per_image.csv"
    write_scores_csv(path, scores)
    assert read_scores_csv(path) == scores
    assert path.read_text().splitlines()[0] == "pair,method,kind,strength,profile,value"
    assert [item.name for item in path.parent.iterdir()] == ["per_image.csv"]


def test_means_are_those_of_each_group(make_scores):
    scores = make_scores()
    assert mean_by(scores, lambda score: (score.method, score.profile))["model", "psnr/literature"] == pytest.approx(
        36 - 5 + (2 + 1 + 0.5 - 0.25 + 3 + 1.5) / 6
    )
    table = mean_table(scores)
    assert list(table) == ["blurred", "wiener", "model"]
    assert table["blurred"] == pytest.approx({"psnr/literature": 31.0, "ssim/matlab3d": 0.95 - 0.1})


def test_gains_are_paired(make_scores):
    shuffled = sorted(make_scores(), key=lambda score: score.value)
    found = {score.pair: score.value for score in gains(shuffled, "model", "psnr/literature")}
    assert [found[f"pair_{index}"] for index in range(6)] == pytest.approx([2, 1, 0.5, -0.25, 3, 1.5])
    against = gains(shuffled, "model", "psnr/literature", reference="wiener")
    assert {score.pair: score.value for score in against}["pair_5"] == pytest.approx(6.5)


def test_pairs_are_ranked_by_what_the_model_gained(make_scores):
    assert rank_pairs(make_scores(), "psnr/literature") == [f"pair_{index}" for index in (4, 0, 5, 1, 2, 3)]


def test_gains_on_different_pairs_are_refused(make_scores):
    scores = [score for score in make_scores() if (score.method, score.pair) != ("model", "pair_3")]
    with pytest.raises(UnblurError, match=r"different pairs \(pair_3"):
        gains(scores, "model", "psnr/literature")


def test_a_method_that_was_not_scored_is_named(make_scores):
    with pytest.raises(UnblurError, match=r"no scores of 'modle' under 'psnr/literature'.*model"):
        gains(make_scores(), "modle", "psnr/literature")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "not there; write it with `unblur evaluate`"),
        ("pair,value\na,1\n", "expected .'pair', 'method'"),
        (",".join(COLUMNS) + "\n", "has no scores"),
        (",".join(COLUMNS) + "\na,model,shake,3,psnr/literature,high\n", "line 2: could not convert"),
        (",".join(COLUMNS) + "\na,model,shake\n", "line 2"),
    ],
)
def test_a_broken_table_is_told(tmp_path, content, told):
    path = tmp_path / "per_image.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UnblurError, match=told):
        read_scores_csv(path)


def test_reading_scores_needs_no_torch():
    code = "import sys, unblur.evaluation.score_table as t; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
