"""What a training hands on: run.json, and its curve in history.csv."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unblur.records.files import Optional, read_json, read_table, write_sealed_json, write_table
from unblur.safety.unchanged import require_beside

RECORD, HISTORY = "run.json", "history.csv"
_COMMAND = "train"


@dataclass(frozen=True)
class Training:
    """A finished training. What was not recorded is empty.

    Attributes:
        model_sha256: of the weights.
        run_id: in MLflow; None without a logger.
        experiment: in MLflow.
        config_hash: SHA-256 of everything that decides the weights.
        git_sha: commit of the code.
        git_dirty: whether tracked files differed from it: "true", "false" or "unknown".
        data_md5: that data.dvc recorded.
        manifest_sha256: of the fixed pairs.
        init_sha256: of the weights that it began with; None for new ones.
        init_name: what those are called, if they say so.
        init_licence: that they are under, if they say so; what is made of them is too.
        teacher_sha256: of the weights that it followed; None without a teacher.
        seed: of everything random.
        precision: as Lightning calls it.
        steps: of the optimizer.
        seconds: of wall time.
        finished: date and time in ISO 8601.
        val_psnr: in dB, of the weights that training ended with; `train.init_share` changes them once more.
        resumed: whether it went on after an interruption.
    """

    model_sha256: str = ""
    run_id: str | None = None
    experiment: str = ""
    config_hash: str = ""
    git_sha: str = ""
    git_dirty: str = ""
    data_md5: str = ""
    manifest_sha256: str = ""
    init_sha256: str | None = None
    init_name: str = ""
    init_licence: str = ""
    teacher_sha256: str | None = None
    seed: int | None = None
    precision: str = ""
    steps: int | None = None
    seconds: float | None = None
    finished: str = ""
    val_psnr: float | None = None
    resumed: bool = False


@dataclass(frozen=True)
class Step:
    """One validation: after how many steps, the mean training loss since the one before, the PSNR in dB."""

    step: int
    train_loss: Optional
    val_psnr: Optional


def write_training(record: Training, history: Iterable[Step], folder: Path) -> None:
    """Write history.csv, and run.json, which knows the curve that it belongs to."""
    write_history(folder / HISTORY, history)
    write_sealed_json(folder / RECORD, record, beside=[folder / HISTORY])


def read_training(folder: Path) -> Training:
    """Read run.json.

    Raises:
        UnblurError: it is missing or broken.
    """
    return read_json(folder / RECORD, Training, _COMMAND)


def noted_training(folder: Path) -> Training:
    """Read run.json; where there is none, as the model was not trained here, everything is empty.

    Raises:
        UnblurError: it is broken.
    """
    return read_training(folder) if (folder / RECORD).is_file() else Training()


def write_history(path: Path, history: Iterable[Step]) -> None:
    """Write a training curve; its header alone where there is none."""
    write_table(path, Step, history)


def read_history(path: Path) -> list[Step]:
    """Read a training curve. A missing file is an empty one.

    Raises:
        UnblurError: other columns, a cell that is no number, or another curve than that of run.json beside it.
    """
    if not path.is_file():
        return []
    require_beside(path, path.with_name(RECORD), _COMMAND)
    return read_table(path, Step, _COMMAND)
