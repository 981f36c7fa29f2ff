import subprocess
import sys

import pytest

from unblur.errors import UnblurError
from unblur.evaluation.score_table import gains, mean_by, mean_table, rank_pairs


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


def test_reading_scores_needs_no_torch():
    code = "import sys, unblur.evaluation.score_table as t; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
