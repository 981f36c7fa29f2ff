"""A project in a temporary folder as the pipeline leaves it: pairs, an exported ONNX file, figures, an MLflow store.

The model is an unsharp mask in ONNX, restored = blur + amount * (blur - mean of 3x3): an amount of 0 changes nothing, a
positive one gains on the mildly blurred pairs and loses on the nearly sharp noisy one, a negative one blurs further.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from unblur.config.provenance import data_version
from unblur.config.schema import GateConfig, PipelineConfig
from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.data.images import write_png
from unblur.data.manifest import PairRow, write_manifest
from unblur.records.chosen import Chosen, write_chosen
from unblur.records.gate import GateRecord, RuleResult, Subject, write_record
from unblur.registry.record import publish
from unblur.registry.versions import read_aliases, read_version
from unblur.safety.hashing import sha256_file

WEIGHTS = hashlib.sha256(b"weights").hexdigest()
DATA_MD5 = "0123456789abcdef0123456789abcdef.dir"
GAIN = 0.8  # an amount that gains on the pairs below


@dataclass(frozen=True)
class Project:
    """The folder, and the configuration whose `paths` are relative to it."""

    root: Path
    cfg: PipelineConfig

    def export(self, amount: float, *, difference: float = 2e-6, passed: bool = True) -> str:
        """Write model.onnx, parity.csv and chosen.json as export and benchmark do; return the SHA-256 of the model."""
        path = self.root / self.cfg.paths.export / "trained" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_unsharp(path, amount)
        (path.parents[1] / "parity.csv").write_text(
            "variant,format,compared,figure,limit,unit,passed\n"
            f"trained,onnx,1x32x32,1e-06,0.0001,,True\ntrained,onnx,2x33x47,{difference},0.0001,,{passed}\n"
            "trained,pt2,1x32x32,0.5,0.0001,,False\npruned,onnx,1x32x32,0.5,0.0001,,False\n"
        )
        sha256 = sha256_file(path)
        chosen = Chosen("trained", "float", "openvino", "f32", "trained/model.onnx", sha256, "", WEIGHTS, 0.001)
        write_chosen(chosen, self.root / self.cfg.paths.benchmark)
        return sha256

    def judged(self, *, passed: bool = True) -> None:
        """Make a candidate whose stored file is a number, and give it the verdict that the gate would give it now."""
        client = tracking_client()
        name = self.cfg.registry.model_name
        with contextlib.suppress(MlflowException):
            client.create_registered_model(name)
        number = len(client.search_model_versions(f"name = '{name}'")) + 1
        stored = self.write(f"mlartifacts/judged/{number}/model.onnx", str(number))
        sha256 = sha256_file(stored)
        run_id = client.create_run(ensure_experiment(client, self.cfg.registry.experiment)).info.run_id
        client.create_model_version(name, stored.parent.as_uri(), run_id=run_id, tags={"model_sha256": sha256})
        client.set_registered_model_alias(name, "candidate", str(number))
        champion = read_aliases(client, name).get("champion")
        champion_sha256 = read_version(client, name, champion).sha256 if champion else None
        results = [RuleResult("min_psnr", 25.0, 24.0 if passed else 90.0, "dB", passed, "mean of the test pairs")]
        subject = Subject(name, number, sha256, champion, champion_sha256, data_version(self.root), "0" * 64, {})
        record = GateRecord(subject, passed, results, 6)
        path = write_record(record, self.root / self.cfg.paths.registry)
        publish(client, read_version(client, name, number), path, record, challenger=None)

    def write(self, relative: str, content: object) -> Path:
        """Write text, or an object as JSON, below the root."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


def write_unsharp(path: Path, amount: float) -> None:
    kernel = np.full((3, 1, 3, 3), 1 / 9, np.float32)
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    nodes = [
        helper.make_node("Pad", ["blur", "pads"], ["padded"], mode="edge"),
        helper.make_node("Conv", ["padded", "kernel"], ["mean"], group=3),
        helper.make_node("Sub", ["blur", "mean"], ["detail"]),
        helper.make_node("Mul", ["detail", "amount"], ["added"]),
        helper.make_node("Add", ["blur", "added"], ["restored"]),
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])]
        for name in ("blur", "restored")
    ]
    weights = {"kernel": kernel, "pads": pads, "amount": np.array(amount, np.float32)}
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "unsharp", ends[0], ends[1], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def write_pairs(root: Path, make_photo: Callable[..., NDArray[np.uint8]]) -> None:
    """Five smooth photos blurred by a Gaussian, one that is only noisy (nearly sharp), all of the split test."""
    rows = []
    rng = np.random.default_rng(0)
    for index, kind in enumerate(["shake", "shake", "defocus", "shake", "shake", "identity"]):
        sharp = cv2.GaussianBlur(make_photo(40, 56, seed=index), (0, 0), 1.0)
        noisy = sharp + rng.normal(0, 10, sharp.shape)
        blurred = noisy.clip(0, 255).round() if kind == "identity" else cv2.GaussianBlur(sharp, (0, 0), 1.3)
        pair = {"blur": blurred.astype(np.uint8), "sharp": sharp.astype(np.uint8)}
        files = {}
        for side, image in pair.items():
            files[side] = f"test/{side}/p{index}.png"
            (root / files[side]).parent.mkdir(parents=True, exist_ok=True)
            write_png(root / files[side], image)
        rows.append(
            PairRow(
                pair=f"p{index}",
                split="test",
                scene=f"p{index}",
                source=f"photos/p{index}.png",
                blur=files["blur"],
                sharp=files["sharp"],
                seed=index,
                kind=kind,
                strength=0.0 if kind == "identity" else 5.0,
                parameters={},
                blur_sha256=sha256_file(root / files["blur"]),
                sharp_sha256=sha256_file(root / files["sharp"]),
            )
        )
    write_manifest(root, rows)


def make_project(root: Path, make_photo: Callable[..., NDArray[np.uint8]]) -> Project:
    """Lay out the whole project; UNBLUR_ROOT and MLFLOW_TRACKING_URI are the caller's business."""
    cfg = PipelineConfig(model={"_target_": "unblur.networks.nafnet.NAFNet"}, gate=lenient_gate())
    cfg.data.name = "test"
    cfg.benchmark.threads = 1
    project = Project(root, cfg)
    shutil.copyfile(fresh_store(), root / "mlflow.db")
    write_pairs(root / cfg.paths.prepared, make_photo)
    project.write("dvc.yaml", "stages: {}\n")
    project.write("data.dvc", f"outs:\n- md5: {DATA_MD5}\n  path: data\n")
    project.write("artifacts/config/pipeline.yaml", "seed: 0\n")
    project.write(
        "artifacts/train/run.json",
        {"run_id": "0" * 32, "git_sha": "a" * 40, "git_dirty": "false", "data_md5": DATA_MD5, "seed": 3, "steps": 500}
        | {"seconds": 90.0, "val_psnr": 27.0, "model_sha256": WEIGHTS},
    )
    means = {"blurred": (25.3, 0.75), "unsharp": (24.9, 0.74), "model": (26.8, 0.81)}
    project.write(
        "artifacts/evaluate/metrics.json",
        {
            "profile": "psnr/literature",
            "pairs": 6,
            "model_sha256": WEIGHTS,
            "gain": {},
            "guarded": 0,
            "test": {name: {"psnr/literature": a, "ssim/matlab3d": b} for name, (a, b) in means.items()},
            "strata": {
                "kind": {
                    "shake": {"name": "shake", "pairs": 2, "reference": 25.0, "value": 27.0, "gain": 2.0, "improved": 2}
                }
            },
            "nearly_sharp_change": -0.11,
            "seconds_per_megapixel": dict.fromkeys(means, 0.5),
        },
    )
    project.write("artifacts/benchmark/complexity.json", {"parameters": 1234567, "macs_256": 10**9})
    project.write(
        "artifacts/benchmark/latency.csv",
        "variant,runtime,height,width,threads,median_ms,spread_ms,load_ms,first_ms,peak_mb,file_mb,"
        "psnr,ssim,colour_shift,lost_db,chosen\n"
        "trained,pytorch,720,1280,2,2000,10,5,2100,900,6.5,31.5,0.91,0,0,\n"
        "trained,onnxruntime,256,256,2,90,1,20,95,200,6.4,31.5,0.91,0.002,0.001,yes\n"
        "trained,onnxruntime,720,1280,2,1010,9,20,1100,700,6.4,31.5,0.91,0.002,0.001,yes\n",
    )
    listed = {"a": ("train", "CC0"), "b": ("train", "BSD"), "c": ("val", "CC0"), "d": ("test", "CC0")}
    project.write(
        "data/SOURCES.json",
        [
            {"file": f"photos/{name}.png", "split": split, "scene": name, "licence": licence, "sha256": "0" * 64}
            for name, (split, licence) in listed.items()
        ],
    )
    return project


def lenient_gate() -> GateConfig:
    """Rules that the unsharp mask with the amount GAIN passes."""
    return GateConfig(
        min_psnr=20.0,
        min_gain=0.3,
        max_sharp_loss=6.0,
        max_regression=0.1,
        max_parity=1e-4,
        max_lost_db=0.1,
        max_latency_ms=20_000.0,
        latency_size=[24, 32],
        max_size_mb=1.0,
    )


@functools.cache
def fresh_store() -> Path:
    """An empty MLflow store. Its first creation costs seconds; a copy of the file costs nothing."""
    from mlflow import MlflowClient

    folder = tempfile.mkdtemp(prefix="unblur-store-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
