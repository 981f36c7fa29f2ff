"""What the stages left behind, read together for the report; whatever is missing names the stage that makes it."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.evaluation.bootstrap import Interval, paired_bootstrap
from unblur.evaluation.pareto import WHOLE
from unblur.evaluation.plot_data import read_history
from unblur.evaluation.score_table import BLURRED, MODEL, Score, gains, guarded, mean_table, read_scores_csv

PARITY_COLUMNS = ("variant", "format", "compared", "figure", "limit", "unit", "passed")
LATENCY_COLUMNS = (
    "variant", "runtime", "height", "width", "threads", "median_ms", "spread_ms", "load_ms", "first_ms", "peak_mb",
    "file_mb", "psnr", "ssim", "colour_shift", "lost_db", "chosen",
)  # fmt: skip

CsvRow = Mapping[str, str]


@dataclass(frozen=True)
class Artifacts:
    """Everything that the report tells, as it was read.

    `run` is artifacts/train/run.json, `metrics` artifacts/evaluate/metrics.json, `data` the findings of check-data.
    """

    run: Mapping[str, Any]
    history: Sequence[Mapping[str, float | None]]
    metrics: Mapping[str, Any]
    scores: Sequence[Score]
    panels: Sequence[Path]
    parity: Sequence[CsvRow]
    latency: Sequence[CsvRow]
    complexity: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def profiles(self) -> list[str]:
        """The metric profiles in the order in which they were scored; the first is the one that gains are told in."""
        return list(dict.fromkeys(score.profile for score in self.scores))


def read_artifacts(paths: PathsConfig) -> Artifacts:
    """Read the artifacts of one pass of the pipeline.

    Raises:
        UnblurError: a file is missing or broken (the stage to run is named), or the scores are of another model than
            the trained one.
    """
    train, evaluate, benchmark = Path(paths.train), Path(paths.evaluate), Path(paths.benchmark)
    artifacts = Artifacts(
        run=_json(train / "run.json", "train"),
        history=read_history(train / "history.csv"),
        metrics=_json(evaluate / "metrics.json", "evaluate"),
        scores=read_scores_csv(evaluate / "per_image.csv"),
        panels=sorted((evaluate / "panels").glob("*.png")),
        parity=_rows(Path(paths.export) / "parity.csv", PARITY_COLUMNS, "export"),
        latency=_rows(benchmark / "latency.csv", LATENCY_COLUMNS, "benchmark"),
        complexity=_json(benchmark / "complexity.json", "benchmark"),
        data=_json(Path(paths.reports) / "data.json", "check-data"),
    )
    trained, scored = artifacts.run.get("model_sha256"), artifacts.metrics.get("model_sha256")
    if trained != scored:
        msg = (
            f"{evaluate / 'metrics.json'} scores the model {str(scored)[:12]}, "
            f"but {train / 'run.json'} is of {str(trained)[:12]}; run `unblur evaluate` again"
        )
        raise UnblurError(msg)
    return artifacts


def gain_interval(artifacts: Artifacts) -> Interval:
    """Return the model's mean gain over the blurred input in the first profile, with its 95 % bootstrap interval."""
    differences = [score.value for score in gains(artifacts.scores, MODEL, artifacts.profiles[0])]
    return paired_bootstrap(np.array(differences))


def deployed_latency(artifacts: Artifacts) -> CsvRow:
    """Return the latency row of what the benchmark chose, at the largest size that goes through in one piece."""
    return deployed(artifacts.latency)


def deployed(rows: Sequence[CsvRow]) -> CsvRow:
    """Return the row of latency.csv that is marked as chosen, at the largest size that goes through in one piece."""
    found = sorted([row for row in rows if row["chosen"]] or rows, key=_pixels)
    return next((row for row in reversed(found) if _pixels(row) <= WHOLE), found[0])


def _pixels(row: CsvRow) -> int:
    return int(row["height"]) * int(row["width"])


def headline(artifacts: Artifacts) -> dict[str, float | int]:
    """Return the main figures as one flat table, for `dvc metrics diff`.

    PSNR and SSIM are of the first profile of each; what was not measured is left out.
    """
    table = mean_table(artifacts.scores)
    figures: dict[str, float | int] = {}
    for metric in ("psnr", "ssim"):
        profile = next((name for name in artifacts.profiles if name.startswith(f"{metric}/")), None)
        if profile is not None:
            before, after = table[BLURRED][profile], table[MODEL][profile]
            figures |= {f"{metric}_blurred": before, f"{metric}_model": after, f"{metric}_gain": after - before}
    interval = gain_interval(artifacts)
    figures |= {"gain_low": interval.low, "gain_high": interval.high}
    if artifacts.metrics["nearly_sharp_change"] is not None:
        figures["nearly_sharp_change"] = artifacts.metrics["nearly_sharp_change"]
    row = deployed_latency(artifacts)
    figures |= {
        "guarded": guarded(artifacts.scores, MODEL),
        "parameters": int(artifacts.complexity["parameters"]),
        "latency_ms": float(row["median_ms"]),
    }
    figures["file_mb"] = float(row["file_mb"])
    return {name: value if isinstance(value, int) else round(value, 5) for name, value in figures.items()}


def _json(path: Path, stage: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _missing(path, stage) from error
    except ValueError as error:
        msg = f"{path} is not a JSON file ({error}); write it again with `unblur {stage}`"
        raise UnblurError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} holds a {type(content).__name__}, expected an object; write it again with `unblur {stage}`"
        raise UnblurError(msg)
    return content


def _rows(path: Path, columns: Sequence[str], stage: str) -> list[CsvRow]:
    if not path.is_file():
        raise _missing(path, stage)
    with path.open(newline="", encoding="utf-8") as stream:
        rows: list[CsvRow] = list(csv.DictReader(stream))
    lacking = [name for name in columns if any(row.get(name) is None for row in rows)]
    if lacking or not rows:
        msg = f"{path} lacks {', '.join(lacking) or 'any row'}; write it again with `unblur {stage}`"
        raise UnblurError(msg)
    return rows


def _missing(path: Path, stage: str) -> UnblurError:
    return UnblurError(f"{path} is not there; write it with `unblur {stage}`")
