"""Where a registered model comes from: code, data, configuration and the very file, as tags of its version."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unblur.benchmark.chosen import FILE, Chosen
from unblur.config.provenance import data_version, git_state
from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.export.variants import PRUNED, WEIGHTS
from unblur.safety.hashing import sha256_file

CONFIG = Path("artifacts/config/pipeline.yaml")


@dataclass(frozen=True)
class Lineage:
    """The facts that identify a model; "unknown" where a fact cannot be told.

    `git_sha` and `git_dirty` are those of the training, `data_md5` is the one that data.dvc recorded then,
    `config_hash` is the SHA-256 of the composed configuration, `model_sha256` that of the ONNX file. `variant` is the
    model's name in the pipeline; `parent_sha256` is of the weights that it was made of, `teacher_sha256` of the
    trained ones.
    """

    git_sha: str
    git_dirty: str
    data_md5: str
    config_hash: str
    model_sha256: str
    variant: str
    parent_sha256: str
    teacher_sha256: str

    def tags(self) -> dict[str, str]:
        """Return the facts as tags of a model version."""
        return asdict(self)


def collect_lineage(root: Path, training: dict[str, Any], chosen: Chosen) -> Lineage:
    """Collect the lineage of the ONNX file that was chosen.

    What the training wrote down (`training`, from run.json) wins over the state of the working tree now: a model
    may be registered later than it was trained, or come out of DVC's run cache.

    Raises:
        UnblurError: the composed configuration is missing.
    """
    config = root / CONFIG
    if not config.is_file():
        msg = f"{config} is missing. Run the pipeline first: `dvc repro`."
        raise UnblurError(msg)
    now = git_state(root)
    return Lineage(
        git_sha=str(training.get("git_sha", now.sha)),
        git_dirty=str(training.get("git_dirty", now.dirty)).lower(),
        data_md5=str(training.get("data_md5", data_version(root))),
        config_hash=sha256_file(config),
        model_sha256=chosen.sha256,
        variant=chosen.variant,
        parent_sha256=chosen.parent or chosen.teacher,
        teacher_sha256=chosen.teacher,
    )


def require_one_training(paths: PathsConfig, root: Path, training: dict[str, Any], chosen: Chosen) -> None:
    """Refuse to join one training's file with the run, the figures or the weights of another.

    Raises:
        UnblurError: the trained weights, their record, and what was exported and chosen do not belong together.
    """
    record, benchmark = root / paths.train / "run.json", root / paths.benchmark / FILE
    trained = training.get("model_sha256")
    for weights, expected, told, mend in (
        (root / paths.train / "model" / WEIGHTS, trained, record, "unblur train"),
        (root / paths.train / "model" / WEIGHTS, chosen.teacher, benchmark, "unblur export` and `unblur benchmark"),
        (root / paths.prune / "model" / WEIGHTS, _pruned(chosen), benchmark, "unblur export` and `unblur benchmark"),
    ):
        if expected and weights.is_file() and (found := sha256_file(weights)) != expected:
            msg = (
                f"{told} tells of the weights {expected[:12]}, but {weights} holds {found[:12]}: these are of two "
                f"trainings. Run `{mend}`, or bring everything up to date: `dvc repro`."
            )
            raise UnblurError(msg)
    if trained and trained != chosen.teacher:
        msg = (
            f"{benchmark} was made of the weights {chosen.teacher[:12]}, but {record} tells of {trained[:12]}: these "
            "are of two trainings. Run `unblur export` and `unblur benchmark`, or `dvc repro`."
        )
        raise UnblurError(msg)


def _pruned(chosen: Chosen) -> str:
    return chosen.parent if chosen.variant.startswith(PRUNED) and chosen.kind != "float" else ""


def read_training(folder: Path) -> dict[str, Any]:
    """Return what the training wrote into run.json, empty when the model was not trained here.

    Raises:
        UnblurError: run.json is not a JSON object.
    """
    path = folder / "run.json"
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path} is not valid JSON ({error}). Train again: `unblur train`."
        raise UnblurError(msg) from error
    if not isinstance(record, dict):
        msg = f"{path} should hold a JSON object, found a {type(record).__name__}. Train again: `unblur train`."
        raise UnblurError(msg)
    return record
