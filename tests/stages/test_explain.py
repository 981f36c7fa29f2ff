"""`unblur explain-pairs`: bounds from the validation pairs, figures of the test pairs, a page for a few."""

import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch

from unblur.config.compose import compose, plain
from unblur.config.schema import ExplainConfig, PathsConfig, PipelineConfig
from unblur.data.images import write_png
from unblur.data.manifest import PairRow, write_manifest
from unblur.errors import UnblurError, UsageError
from unblur.networks.nafnet import NAFNet
from unblur.records.explanation import read_coverage, read_fidelity, read_summary
from unblur.stages.explain import main
from unblur.training.weights import save_model

MODEL = {"width": 4, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]}

run = main.__wrapped__


@pytest.fixture
def cfg(tmp_path, make_photo):
    """Two validation pairs, six test pairs, and a network whose weights were drawn."""
    names = ("prepared", "train", "evaluate", "explain")
    paths = PathsConfig(**{name: str(tmp_path / name) for name in names})
    rows = []
    for index in range(8):
        name, split, side = f"p{index}", "val" if index < 2 else "test", 2 * (index % 4) + 1
        files = {kind: f"{split}/{kind}/{name}.png" for kind in ("blur", "sharp")}
        sharp = make_photo(64, 64, seed=index)
        write_png(tmp_path / "prepared" / files["sharp"], sharp)
        blurred = cv2.blur(sharp, (side, side))
        write_png(tmp_path / "prepared" / files["blur"], blurred)
        if split == "test":  # as if the evaluated network had brought back half of what is missing
            write_png(tmp_path / "evaluate" / "answers" / f"{name}.png", cv2.addWeighted(sharp, 0.5, blurred, 0.5, 0))
        rows.append(PairRow(name, split, name, "a.png", **files, seed=0, kind="box", strength=side - 1.0,
                            parameters={}, blur_sha256="", sharp_sha256=""))  # fmt: skip
    write_manifest(tmp_path / "prepared", rows)
    network, generator = NAFNet(**MODEL), torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    save_model(network, {"_target_": "unblur.networks.nafnet.NAFNet", **MODEL}, tmp_path / "train" / "model")
    blur = plain(compose(["experiment=smoke"]))["blur"]
    return PipelineConfig(paths=paths, blur=blur, explain=ExplainConfig(size=16, maps=["input_gradients"]))


@pytest.mark.slow
def test_bounds_figures_and_pages(cfg):
    run(cfg)
    out = Path(cfg.paths.explain)
    summary, coverage, table = read_summary(out), read_coverage(out), read_fidelity(out)
    assert (summary.pairs, coverage[0].stratum, coverage[0].pairs) == (6, "all", 6)
    assert sum(row.pairs for row in coverage[1:]) == 6
    assert coverage[0].reached == pytest.approx(sum(row.pairs * row.reached for row in coverage[1:]) / 6)
    assert coverage[0].scenes == 6
    assert all(0 <= row.low <= row.reached <= row.high <= 1 for row in coverage)
    assert len(summary.pages) == len(coverage) - 1  # one of each stratum
    assert [row.pair for row in table] == list(summary.pages)
    assert all((out / page / "index.html").is_file() for page in summary.pages)
    assert summary.blur_rank_by_spectrum > 0.5
    assert summary.reblur_residual is None  # no recipe makes this kind of blur
    assert summary.filters is not None
    assert summary.filters.masked >= 1
    calibration = json.loads((out / "calibration.json").read_text())
    assert (calibration["model_sha256"], calibration["pairs"], calibration["scenes"]) == (summary.model_sha256, 2, 2)


def test_answers_are_those_of_the_evaluation(cfg):
    answers = Path(cfg.paths.evaluate) / "answers"
    (answers / "p3.png").unlink()
    with pytest.raises(UnblurError, match=r"p3\.png"):
        run(cfg)
    shutil.rmtree(answers)
    with pytest.raises(
        UnblurError, match="the answers to the test pairs are not there; make them with `unblur evaluate`"
    ):
        run(cfg)


def test_without_validation_pairs_there_is_no_promise(cfg):
    manifest = Path(cfg.paths.prepared) / "manifest.csv"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if ",val," not in line))
    with pytest.raises(UnblurError, match="has no pairs of the split 'val'; make them with `unblur prepare`"):
        run(cfg)


@pytest.mark.parametrize(("asked", "told"), [({"pairs": 0}, "explain.pairs=0: expected 1"), ({"maps": []}, "no map")])
def test_what_could_not_be_shown_is_refused_before_anything_is_computed(cfg, asked, told):
    cfg.explain = ExplainConfig(**asked)
    with pytest.raises(UsageError, match=told):
        run(cfg)
    assert not Path(cfg.paths.explain).exists()
