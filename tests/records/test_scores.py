import math

import pytest

from unblur.errors import UnblurError
from unblur.records.scores import (
    Evaluation,
    Score,
    StratumMeans,
    read_evaluation,
    read_scores,
    write_evaluation,
    write_scores,
)

HEADER = "pair,scene,method,kind,strength,profile,value\n"


def test_written_and_read_scores_are_equal(tmp_path):
    scores = [
        Score("a, with comma", "a", "model", "shake", 1 / 3, "psnr/literature", math.pi * 10),
        Score('b "quoted"', "b", "blurred", "identity", 0.0, "ssim/matlab3d", 0.1 + 0.2),
    ]
    path = tmp_path / "deep" / "per_image.csv"
    write_scores(path, scores)
    assert read_scores(path) == scores
    assert path.read_text().splitlines()[0] == "pair,scene,method,kind,strength,profile,value"
    assert [item.name for item in path.parent.iterdir()] == ["per_image.csv"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "not there; write it with `unblur evaluate`"),
        ("pair,value\na,1\n", "line 2: lacks scene"),
        (HEADER + "", "lacks any row"),
        (HEADER + "a,s,model,shake,3,psnr/literature,high\n", "line 2: value input should be a valid number"),
        (HEADER + "a,s,model,shake\n", "line 2: lacks strength"),
    ],
)
def test_a_broken_table_is_told(tmp_path, content, told):
    path = tmp_path / "per_image.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UnblurError, match=told):
        read_scores(path)


def test_means_are_read_as_they_were_written(tmp_path):
    strata = {"kind": {"shake": StratumMeans(2, 25.0, 27.0, 2.0, 1)}}
    found = Evaluation(
        "psnr/literature", 2, "a" * 64, {"model": {"p": 1.5}}, {"p": 0.5}, strata, None, 3, {"model": 1.0}
    )
    write_evaluation(found, tmp_path)
    assert read_evaluation(tmp_path) == found
