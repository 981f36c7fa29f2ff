"""What the plots show, as rows and as the CSV files of `dvc plots`: gains by strength."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unblur.evaluation.score_table import gains
from unblur.evaluation.strata import strata
from unblur.records.scores import BLURRED, MODEL, Score
from unblur.safety.atomic import replacing

Row = Mapping[str, str | int | float | None]

STRENGTH_GAIN_COLUMNS = ("pair", "kind", "strength", "blurred", "model", "gain")
STRENGTH_BIN_COLUMNS = ("method", "strength", "pairs", "gain")


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
