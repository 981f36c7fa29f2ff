import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from unblur.config.schema import EvaluateConfig, PathsConfig, PipelineConfig
from unblur.data.images import write_png
from unblur.data.manifest import PairRow, write_manifest
from unblur.errors import UnblurError
from unblur.evaluation.score_table import mean_table
from unblur.networks.nafnet import NAFNet
from unblur.records.scores import read_scores
from unblur.stages.evaluate import main
from unblur.training.weights import save_model

PROFILES = ["psnr/literature", "ssim/matlab3d"]
MODEL = {"width": 4, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]}

run = main.__wrapped__


def pair_row(name, split, kind, strength):
    return PairRow(
        pair=name,
        split=split,
        scene=name,
        source="photos/a.png",
        blur=f"{split}/blur/{name}.png",
        sharp=f"{split}/sharp/{name}.png",
        seed=0,
        kind=kind,
        strength=strength,
        parameters={},
        blur_sha256="",
        sharp_sha256="",
    )


@pytest.fixture
def cfg(tmp_path, make_photo):
    """A validation pair and three test pairs, and an untrained network."""
    names = ("prepared", "train", "evaluate")
    paths = PathsConfig(**{name: str(tmp_path / name) for name in names})
    rows = [
        pair_row("v", "val", "shake", 5.0),
        pair_row("a", "test", "identity", 0.0),
        pair_row("b", "test", "shake", 5.0),
        pair_row("c", "test", "defocus", 9.0),
    ]
    for index, row in enumerate(rows):
        sharp = make_photo(40, 56, seed=index)
        side = max(1, round(row.strength))
        write_png(tmp_path / "prepared" / row.sharp, sharp)
        write_png(tmp_path / "prepared" / row.blur, cv2.blur(sharp, (side, side)) if side > 1 else sharp ^ 1)
    write_manifest(tmp_path / "prepared", rows)
    save_model(NAFNet(**MODEL), {"_target_": "unblur.networks.nafnet.NAFNet", **MODEL}, tmp_path / "train" / "model")
    evaluate = EvaluateConfig(profiles=PROFILES, baselines=["blurred", "unsharp", "wiener"], panels=2)
    return PipelineConfig(paths=paths, evaluate=evaluate)


def test_everything_is_written_and_agrees(cfg, capsys):
    run(cfg)
    out = Path(cfg.paths.evaluate)
    scores = read_scores(out / "per_image.csv")
    assert {(score.pair, score.method) for score in scores} == {
        (pair, method) for pair in "abc" for method in ("blurred", "unsharp", "wiener", "model")
    }
    metrics = json.loads((out / "metrics.json").read_text())
    means = mean_table(scores)
    assert metrics["test"] == means
    for profile in PROFILES:
        assert metrics["gain"][profile] == pytest.approx(means["model"][profile] - means["blurred"][profile])
    by_pair = {(s.pair, s.method): s.value for s in scores if s.profile == PROFILES[0]}
    assert metrics["nearly_sharp_change"] == pytest.approx(by_pair["a", "model"] - by_pair["a", "blurred"])
    assert metrics["strata"]["strength"]["8 to 14 px"]["value"] == pytest.approx(by_pair["c", "model"])
    assert (metrics["profile"], metrics["pairs"]) == (PROFILES[0], 3)
    assert set(metrics["seconds_per_megapixel"]) == set(means)
    places = [score.value for score in scores if (score.method, score.profile) == ("model", "guard/places")]
    assert metrics["guarded"] == sum(places)
    assert len(places) == 3
    assert metrics["seconds_per_megapixel"]["model"] > 0
    shown = capsys.readouterr().out
    assert f"{means['model'][PROFILES[0]]:.2f}" in shown
    assert "What next?" in shown


def test_panels_and_plots_are_written(cfg):
    run(cfg)
    out = Path(cfg.paths.evaluate)
    scores = read_scores(out / "per_image.csv")
    value = {(s.pair, s.method): s.value for s in scores if s.profile == PROFILES[0]}
    ranked = sorted("abc", key=lambda pair: value[pair, "model"] - value[pair, "blurred"])
    assert {path.stem for path in (out / "panels").iterdir()} == {ranked[0], ranked[-1]}
    with (out / "plots" / "strength_gain.csv").open() as stream:
        assert [row["pair"] for row in csv.DictReader(stream)] == ["a", "b", "c"]
    assert (out / "plots" / "training.csv").read_text().startswith("step,")
    assert (out / "plots" / "strength_bins.csv").is_file()


def test_scores_do_not_depend_on_the_run(cfg):
    run(cfg)
    first = (Path(cfg.paths.evaluate) / "per_image.csv").read_bytes()
    run(cfg)
    assert (Path(cfg.paths.evaluate) / "per_image.csv").read_bytes() == first


def test_mistakes_are_told_before_anything_is_scored(cfg):
    cfg.evaluate.baselines = ["unsharpp"]
    with pytest.raises(UnblurError, match="no baseline 'unsharpp'; did you mean 'unsharp'"):
        run(cfg)
    cfg.evaluate.profiles = []
    with pytest.raises(UnblurError, match=r"evaluate\.profiles is empty"):
        run(cfg)
    assert not Path(cfg.paths.evaluate).exists()


def test_no_test_pairs_and_no_model_name_the_stage(cfg, tmp_path):
    write_manifest(tmp_path / "prepared", [pair_row("v", "val", "shake", 5.0)])
    with pytest.raises(UnblurError, match="no pairs of the split 'test'; make them with `unblur prepare`"):
        run(cfg)
    write_manifest(tmp_path / "prepared", [pair_row("a", "test", "shake", 5.0)])
    cfg.paths.train = str(tmp_path / "nowhere")
    with pytest.raises(UnblurError, match="nowhere"):
        run(cfg)


def test_a_network_of_nan_is_told(cfg, tmp_path):
    network = NAFNet(**MODEL)
    for parameter in network.parameters():
        parameter.data.fill_(np.nan)
    save_model(network, {"_target_": "unblur.networks.nafnet.NAFNet", **MODEL}, tmp_path / "train" / "model")
    with pytest.raises(UnblurError, match="pair a: 'model' returned values that are not finite"):
        run(cfg)
