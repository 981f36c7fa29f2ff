"""Scores of a folder of pairs: figures against another implementation, files, and what is refused."""

import csv
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from unblur.data.images import read_rgb, write_png
from unblur.errors import UnblurError, UsageError
from unblur.evaluation.pair_scores import check_out, claim_panels, score_pairs, summarize, write_pair_scores


class Brighter:
    """Adds 26 of 255 steps to everything, so that the output is known."""

    name, sha256, task = "brighter", "0" * 64, "image"

    def __init__(self):
        self.shapes = []

    def __call__(self, batch):
        self.shapes.append(batch.shape)
        return batch + np.float32(26 / 255)


@pytest.fixture
def pairs(tmp_path, make_photo):
    """Three pairs of 96 x 72 pixels: blurred more and more, the last as bright as the model makes it of the blur."""
    root = tmp_path / "pairs"
    for index, side in enumerate((3, 7, 11)):
        sharp = (make_photo(72, 96, seed=index) * 0.7).astype(np.uint8)
        blurred = cv2.blur(sharp, (side, side))
        write_png(root / "blur" / f"photo{index}.png", blurred)
        write_png(root / "sharp" / f"photo{index}.png", sharp if index < 2 else cv2.add(blurred, 26))
    return root


def test_the_figures_are_those_of_scikit_image(pairs):
    scores = score_pairs(Brighter(), pairs, "psnr/literature")
    assert [score.pair for score in scores] == ["photo0", "photo1", "photo2"]
    for score in scores:
        blurred, sharp = (read_rgb(pairs / side / f"{score.pair}.png") for side in ("blur", "sharp"))
        restored = np.clip(np.rint(blurred.astype(np.float64) + 26), 0, 255).astype(np.uint8)
        assert score.blurred == pytest.approx(peak_signal_noise_ratio(sharp, blurred), abs=1e-3)
        expected = peak_signal_noise_ratio(sharp, restored) if (sharp != restored).any() else 100
        assert score.restored == pytest.approx(expected, abs=1e-3)
        assert score.gain == score.restored - score.blurred
        assert score.seconds > 0
    assert scores[0].gain < 0 < scores[2].gain


def test_a_truth_that_lies_otherwise_is_not_scored(pairs):
    write_png(pairs / "sharp" / "photo1.png", np.ascontiguousarray(read_rgb(pairs / "sharp" / "photo1.png")[::-1]))
    with pytest.raises(UnblurError, match=r"blur/photo1\.png: fits its truth as EXIF orientation 4 would show it"):
        score_pairs(Brighter(), pairs, "psnr/literature")


def test_the_mean_and_the_worst(pairs):
    scores = score_pairs(Brighter(), pairs, "psnr/aligned")
    mean = summarize(scores)
    assert mean.gain == pytest.approx(sum(score.gain for score in scores) / 3)
    assert mean.restored - mean.blurred == pytest.approx(mean.gain)
    assert mean.worst == min(scores, key=lambda score: score.gain).pair != "photo2"
    assert mean.worst_gain == min(score.gain for score in scores)


def test_pictures_go_whole_or_in_tiles_with_the_same_figures(pairs):
    whole, tiled = Brighter(), Brighter()
    one, other = (
        score_pairs(whole, pairs, "psnr/literature"),
        score_pairs(tiled, pairs, "psnr/literature", tile=48, overlap=16),
    )
    assert set(whole.shapes) == {(1, 3, 72, 96)}
    assert max(shape[-1] for shape in tiled.shapes) <= 48
    assert [score.restored for score in one] == pytest.approx([score.restored for score in other], abs=1e-3)


def test_panels_show_each_pair(pairs, tmp_path):
    score_pairs(Brighter(), pairs, "psnr/aligned", panels=tmp_path / "panels")
    panels = sorted((tmp_path / "panels").iterdir())
    assert [path.name for path in panels] == ["photo0.png", "photo1.png", "photo2.png"]
    with Image.open(panels[0]) as panel:
        assert panel.width > 3 * 96


@pytest.mark.parametrize("side", ["sharp", "blur"])
def test_a_panel_never_replaces_a_picture_that_is_scored(pairs, tmp_path, side):
    before = {path: path.read_bytes() for path in pairs.rglob("*.png")}
    (tmp_path / "link").symlink_to(pairs / side)
    for panels in (pairs / side, pairs / "blur" / ".." / side, tmp_path / "link"):
        with pytest.raises(UnblurError, match=r"photo0\.png: is a picture that is scored, .* give the panels another"):
            score_pairs(Brighter(), pairs, "psnr/aligned", panels=panels)
        with pytest.raises(UnblurError, match="is a picture that is scored"):
            claim_panels(panels, pairs, overwrite=True)
    assert {path: path.read_bytes() for path in pairs.rglob("*") if path.is_file()} == before


def test_two_pairs_that_would_have_one_name_are_refused(tmp_path, make_photo):
    for name in ("a/b_c", "a_b/c", "d/c"):
        for side in ("blur", "sharp"):
            write_png(tmp_path / f"pairs/{side}/{name}.png", make_photo(16, 16))
    message = r"sharp/a/b_c\.png and sharp/a_b/c\.png would both be called 'sharp_a_b_c'; rename one"
    with pytest.raises(UnblurError, match=message):
        claim_panels(tmp_path / "panels", tmp_path / "pairs")
    assert not (tmp_path / "panels").exists()
    with pytest.raises(UnblurError, match=message):
        score_pairs(Brighter(), tmp_path / "pairs", "psnr/aligned")


def test_csv_and_json_keep_full_precision(pairs, tmp_path):
    scores = score_pairs(Brighter(), pairs, "psnr/aligned")
    write_pair_scores(tmp_path / "out.csv", scores, {})
    write_pair_scores(tmp_path / "out.json", scores, {"model": "brighter"})
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [float(row["gain"]) for row in rows] == [score.gain for score in scores]
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["model"] == "brighter"
    assert content["mean"]["gain"] == summarize(scores).gain
    assert [pair["restored"] for pair in content["pairs"]] == [score.restored for score in scores]
    with pytest.raises(UsageError, match=r"ends in \.csv or \.json"):
        check_out(tmp_path / "out.txt")


def test_what_cannot_be_scored_is_named(pairs):
    write_png(pairs / "sharp" / "photo1.png", np.zeros((72, 80, 3), np.uint8))
    with pytest.raises(
        UnblurError, match=r"photo1\.png: differs from sharp/photo1\.png in size \(96 x 72 and 80 x 72\)"
    ):
        score_pairs(Brighter(), pairs, "psnr/aligned")
    (pairs / "sharp" / "photo1.png").unlink()
    with pytest.raises(UnblurError, match=r"photo1\.png: has no partner"):
        score_pairs(Brighter(), pairs, "psnr/aligned")
    with pytest.raises(UnblurError, match="not the layout pairs"):
        score_pairs(Brighter(), pairs / "blur", "psnr/aligned")
    video = Brighter()
    video.task = "video"
    with pytest.raises(UnblurError, match="restores videos"):
        score_pairs(video, pairs, "psnr/aligned")
