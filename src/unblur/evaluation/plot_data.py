"""What the plots show, as rows and as the CSV files of `dvc plots`: gains by strength, and the training curve."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unblur.errors import UnblurError
from unblur.evaluation.score_table import BLURRED, MODEL, Score, gains
from unblur.evaluation.strata import strata
from unblur.safety.atomic import replacing

Row = Mapping[str, str | int | float | None]
History = Sequence[Mapping[str, float | None]]

STRENGTH_GAIN_COLUMNS = ("pair", "kind", "strength", "blurred", "model", "gain")
STRENGTH_BIN_COLUMNS = ("method", "strength", "pairs", "gain")
HISTORY_COLUMNS = ("step", "train_loss", "val_psnr")


def strength_bin_rows(scores: Sequence[Score], profile: str) -> list[Row]:
    """Return the mean gain of every method in every bin of strength: method, strength, pairs, gain."""
    methods = dict.fromkeys(score.method for score in scores if score.method != BLURRED)
    return [
        {"method": method, "strength": stratum.name, "pairs": stratum.pairs, "gain": round(stratum.gain, 4)}
        for method in methods
        for stratum in strata(scores, method, profile)
        if stratum.by == "strength"
    ]


def strength_gain_rows(scores: Sequence[Score], profile: str) -> list[Row]:
    """Return the model's gain on every pair: pair, kind, strength, blurred, model, gain."""
    before = {score.pair: score.value for score in scores if (score.method, score.profile) == (BLURRED, profile)}
    return [
        {
            "pair": score.pair,
            "kind": score.kind,
            "strength": round(score.strength, 2),
            "blurred": round(before[score.pair], 4),
            "model": round(before[score.pair] + score.value, 4),
            "gain": round(score.value, 4),
        }
        for score in gains(scores, MODEL, profile)
    ]


def read_history(path: Path) -> list[dict[str, float | None]]:
    """Read a training curve (step, train_loss, val_psnr); an empty cell is None. A missing file is an empty curve.

    Raises:
        UnblurError: other columns, or a cell that is no number.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            return [{name: float(row[name]) if row[name] else None for name in HISTORY_COLUMNS} for row in reader]
        except (KeyError, ValueError) as error:
            expected = ",".join(HISTORY_COLUMNS)
            msg = f"{path}, line {reader.line_num}: {error}; expected the columns {expected}; run `unblur train` again"
            raise UnblurError(msg) from error


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Write a CSV file."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_strength_gain(path: Path, scores: Sequence[Score], profile: str) -> None:
    """Write one row a pair: its blur and what the model gained."""
    write_rows(path, STRENGTH_GAIN_COLUMNS, strength_gain_rows(scores, profile))


def write_strength_bins(path: Path, scores: Sequence[Score], profile: str) -> None:
    """Write one row for each method and bin of strength."""
    write_rows(path, STRENGTH_BIN_COLUMNS, strength_bin_rows(scores, profile))


def write_training(path: Path, history: History) -> None:
    """Write the training curve; its header alone where there is none."""
    write_rows(path, HISTORY_COLUMNS, history)
