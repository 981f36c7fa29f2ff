"""A small prepared folder: pairs of known blur, written as `unblur prepare` writes them; and tables of scores."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from unblur.config.schema import PathsConfig
from unblur.data.images import write_png
from unblur.data.manifest import PairRow, write_manifest
from unblur.evaluation.score_table import mean_table
from unblur.evaluation.strata import as_nested, nearly_sharp_change, strata
from unblur.records.scores import Evaluation, Score, write_evaluation, write_scores
from unblur.safety.hashing import sha256_file

BLURS = (("identity", 0.0), ("shake", 5.0), ("defocus", 11.0), ("shake", 19.0))


@pytest.fixture
def prepared(tmp_path: Path, make_photo: Callable) -> tuple[Path, list[PairRow]]:
    """Four test pairs of 72 x 96 pixels: identity, and box blurs of 5, 11 and 19 px."""
    root = tmp_path / "prepared"
    rows = []
    for index, (kind, strength) in enumerate(BLURS):
        sharp = make_photo(72, 96, seed=index)
        side = max(1, round(strength))
        blurred = cv2.blur(sharp, (side, side), borderType=cv2.BORDER_REFLECT)
        pair = f"photo_{index:02d}"
        names = {part: f"test/{part}/{pair}.png" for part in ("blur", "sharp")}
        write_png(root / names["blur"], blurred)
        write_png(root / names["sharp"], sharp)
        digests = {part: sha256_file(root / name) for part, name in names.items()}
        rows.append(
            PairRow(
                pair=pair,
                split="test",
                scene="photo",
                source=f"photos/{pair}.png",
                **names,
                seed=index,
                kind=kind,
                strength=strength,
                parameters={"side": side},
                blur_sha256=digests["blur"],
                sharp_sha256=digests["sharp"],
            )
        )
    write_manifest(root, rows)
    return root, rows


@pytest.fixture(scope="session")
def make_scores() -> Callable[[], list[Score]]:
    """Scores of three methods on six pairs; the model's gains are 2, 1, 0.5, -0.25, 3 and 1.5 dB."""

    def make() -> list[Score]:
        kinds = ("identity", "defocus", "shake", "shake", "defocus", "shake")
        blurs = list(zip(kinds, (0.0, 1.7, 2.0, 8.0, 14.0, 20.0), strict=True))
        gained = {"blurred": np.zeros(6), "wiener": -np.arange(6.0), "model": np.array([2, 1, 0.5, -0.25, 3, 1.5])}
        return [
            Score(
                f"pair_{index}",
                f"scene_{index}",
                method,
                kind,
                strength,
                profile,
                float(base - 2 * index * step + gain[index] * step),
            )
            for method, gain in gained.items()
            for index, (kind, strength) in enumerate(blurs)
            for profile, base, step in (("psnr/literature", 36.0, 1.0), ("ssim/matlab3d", 0.95, 0.02))
        ]

    return make


@pytest.fixture
def artifacts_paths(tmp_path: Path, write_artifacts: Callable) -> PathsConfig:
    """The files of one pass of the pipeline in this test's own folder."""
    return write_artifacts(tmp_path)


@pytest.fixture(scope="session")
def write_artifacts(make_scores: Callable) -> Callable[[Path], PathsConfig]:
    """Write the files of one pass of the pipeline into a folder, as its stages do."""
    return lambda folder: _write_artifacts(folder, make_scores())


def _write_artifacts(folder: Path, scores: list[Score]) -> PathsConfig:
    names = ("train", "evaluate", "export", "benchmark", "explain", "reports")
    paths = PathsConfig(**{name: str(folder / name) for name in names})
    found = strata(scores, "model", "psnr/literature")
    contents = {
        "train/history.csv": "step,train_loss,val_psnr\n50,0.05,26\n100,0.04,26.5\n",
        "train/run.json": {
            "run_id": "0123",
            "git_sha": "f" * 40,
            "git_dirty": "false",
            "data_md5": "d" * 32 + ".dir",
            "config_hash": "c" * 64,
            "model_sha256": "a" * 64,
            "seed": 3,
            "steps": 100,
            "seconds": 90.0,
            "finished": "2001-02-03T04:05:06+00:00",
        },
        "export/parity.csv": "variant,format,compared,figure,limit,unit,passed\n"
        "trained,onnx,2x33x47,1.5e-06,0.0001,,True\ntrained,pt2,1x17x9,0.5,0.0001,,False\n"
        "trained_int8,onnx,12 pairs,0.0123,0.05,dB,True\n",
        "benchmark/latency.csv": "variant,runtime,height,width,threads,median_ms,spread_ms,load_ms,first_ms,peak_mb,"
        "file_mb,psnr,ssim,colour_shift,lost_db,chosen\n"
        "trained,pytorch,720,1280,2,900.5,9,300,950,800,2.1,31.5,0.91,0,0,\n"
        "trained,onnxruntime,64,64,2,3.5,0.1,80,4,90,2.25,31.5,0.91,0.002,0.001,yes\n"
        "trained,onnxruntime,720,1280,2,450.5,4,80,470,400,2.25,31.5,0.91,0.002,0.001,yes\n",
        "benchmark/complexity.json": {"parameters": 512345, "macs_256": 1.7e9},
        "reports/data.json": {
            "errors": 0,
            "warnings": 1,
            "pictures": 34,
            "others": 3,
            "splits": {"test": 4, "train": 30},
            "findings": [{"severity": "warning", "problem": "grey", "file": "photos/<b>.png", "detail": "mode L"}],
        },
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    write_scores(folder / "evaluate" / "per_image.csv", scores)
    means, times = mean_table(scores), {"blurred": 0.0, "wiener": 0.25, "model": 1.5}
    evaluation = Evaluation(
        profile="psnr/literature",
        pairs=6,
        model_sha256="a" * 64,
        test=means,
        gain={},
        strata=as_nested(found),
        nearly_sharp_change=nearly_sharp_change(found),
        guarded=0,
        seconds_per_megapixel=times,
    )
    write_evaluation(evaluation, folder / "evaluate")
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    for pair in ("pair_3", "pair_4"):
        write_png(folder / "evaluate" / "panels" / f"{pair}.png", noise)
    return paths
