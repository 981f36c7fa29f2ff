"""Where a registered model comes from: code, data, configuration and the very file, as tags of its version."""

from dataclasses import asdict, dataclass
from pathlib import Path

from unblur.config.provenance import data_version, git_state
from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.export.variants import PRUNED, WEIGHTS
from unblur.records.chosen import FILE, Chosen
from unblur.records.training import RECORD, Training
from unblur.safety.hashing import sha256_file

CONFIG = Path("artifacts/config/pipeline.yaml")


@dataclass(frozen=True)
class Lineage:
    """The facts that identify a model; "unknown" where a fact cannot be told.

    `git_sha` and `git_dirty` are those of the training, `data_md5` is the one that data.dvc recorded then,
    `config_hash` is the SHA-256 of the composed configuration, `model_sha256` that of the ONNX file. `variant` is the
    model's name in the pipeline; `parent_sha256` is of the weights that it was made of, `teacher_sha256` of the
    trained ones. `init_sha256` is of the weights that training began with, `init_name` and `init_licence` what those
    say of themselves; "" for training from nothing.
    """

    git_sha: str
    git_dirty: str
    data_md5: str
    config_hash: str
    model_sha256: str
    variant: str
    parent_sha256: str
    teacher_sha256: str
    init_name: str = ""
    init_sha256: str = ""
    init_licence: str = ""

    def tags(self) -> dict[str, str]:
        """Return the facts as tags of a model version."""
        return asdict(self)


def collect_lineage(root: Path, training: Training, chosen: Chosen) -> Lineage:
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
        git_sha=training.git_sha or now.sha,
        git_dirty=training.git_dirty or now.dirty,
        data_md5=training.data_md5 or data_version(root),
        config_hash=sha256_file(config),
        model_sha256=chosen.sha256,
        variant=chosen.variant,
        parent_sha256=chosen.parent or chosen.teacher,
        teacher_sha256=chosen.teacher,
        init_name=training.init_name,
        init_sha256=training.init_sha256 or "",
        init_licence=training.init_licence,
    )


def require_one_training(paths: PathsConfig, root: Path, training: Training, chosen: Chosen) -> None:
    """Refuse to join one training's file with the run, the figures or the weights of another.

    Raises:
        UnblurError: the trained weights, their record, and what was exported and chosen do not belong together.
    """
    record, benchmark = root / paths.train / RECORD, root / paths.benchmark / FILE
    trained = training.model_sha256
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
