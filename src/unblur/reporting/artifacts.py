"""What the stages left behind, read together for the report; whatever is missing names the stage that makes it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.evaluation.bootstrap import Interval, paired_bootstrap
from unblur.evaluation.score_table import gains, guarded, mean_table
from unblur.records.data_check import DataCheck, read_data_check
from unblur.records.explanation import (
    SUMMARY,
    Coverage,
    ExplainSummary,
    PairFidelity,
    read_coverage,
    read_fidelity,
    read_summary,
)
from unblur.records.latency import Complexities, LatencyRow, deployed, read_complexities, read_latency
from unblur.records.parity import ParityRow, read_parity
from unblur.records.scores import BLURRED, METRICS, MODEL, SCORES, Evaluation, Score, read_evaluation, read_scores
from unblur.records.training import Step, Training, read_history, read_training


@dataclass(frozen=True)
class Explained:
    """What `unblur explain-pairs` has measured."""

    summary: ExplainSummary
    coverage: Sequence[Coverage]
    fidelity: Sequence[PairFidelity]


@dataclass(frozen=True)
class Artifacts:
    """Everything that the report tells, as it was read."""

    run: Training
    history: Sequence[Step]
    metrics: Evaluation
    scores: Sequence[Score]
    panels: Sequence[Path]
    parity: Sequence[ParityRow]
    latency: Sequence[LatencyRow]
    complexity: Complexities
    data: DataCheck
    explained: Explained | None = None

    @property
    def profiles(self) -> list[str]:
        """The metric profiles in the order in which they were scored; the first is the one that gains are told in."""
        return list(dict.fromkeys(score.profile for score in self.scores))


def read_artifacts(paths: PathsConfig) -> Artifacts:
    """Read the artifacts of one pass of the pipeline.

    Raises:
        UnblurError: a file is missing or broken (the stage to run is named), or the scores are of another model than
            the trained one, or not those that the means are of.
    """
    train, evaluate, benchmark = Path(paths.train), Path(paths.evaluate), Path(paths.benchmark)
    artifacts = Artifacts(
        run=read_training(train),
        history=read_history(train / "history.csv"),
        metrics=read_evaluation(evaluate),
        scores=read_scores(evaluate / SCORES),
        panels=sorted((evaluate / "panels").glob("*.png")),
        parity=read_parity(Path(paths.export)),
        latency=read_latency(benchmark),
        complexity=read_complexities(benchmark),
        data=read_data_check(Path(paths.reports)),
        explained=_explained(Path(paths.explain)),
    )
    trained, scored = artifacts.run.model_sha256, artifacts.metrics.model_sha256
    if trained != scored:
        msg = (
            f"{evaluate / 'metrics.json'} scores the model {scored[:12]}, "
            f"but {train / 'run.json'} is of {trained[:12]}; run `unblur evaluate` again"
        )
        raise UnblurError(msg)
    require_one_scoring(artifacts.metrics, artifacts.scores, evaluate)
    if artifacts.explained is not None and artifacts.explained.summary.model_sha256 != trained:
        msg = f"{paths.explain} explains another model than {train / 'run.json'}; run `unblur explain-pairs` again"
        raise UnblurError(msg)
    return artifacts


def require_one_scoring(metrics: Evaluation, scores: Sequence[Score], folder: Path) -> None:
    """Refuse means that are not those of the scores beside them in `folder`: one was exchanged, or has a flipped bit.

    Raises:
        UnblurError: they differ; names the method and the profile.
    """
    table = mean_table(scores)
    for method, means in metrics.test.items():
        for profile, mean in means.items():
            found = table.get(method, {}).get(profile, math.nan)
            if not math.isclose(found, mean, rel_tol=1e-9, abs_tol=1e-12):
                msg = (
                    f"{folder / METRICS} tells {mean:.6g} for {method} under {profile}, but the mean in "
                    f"{folder / SCORES} is {found:.6g}: one was changed; run `unblur evaluate` again"
                )
                raise UnblurError(msg)


def _explained(folder: Path) -> Explained | None:
    """Read the explanations, None where the stage was not run: stages may be run by hand."""
    if not (folder / SUMMARY).is_file():
        return None
    return Explained(read_summary(folder), read_coverage(folder), read_fidelity(folder))


def gain_interval(artifacts: Artifacts) -> Interval:
    """Return the model's mean gain over the blurred input in the first profile, with its 95 % bootstrap interval."""
    found = gains(artifacts.scores, MODEL, artifacts.profiles[0])
    return paired_bootstrap(np.array([score.value for score in found]), [score.scene for score in found])


def deployed_latency(artifacts: Artifacts) -> LatencyRow:
    """Return the latency row of what the benchmark chose, at the largest size that goes through in one piece."""
    return deployed(artifacts.latency)


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
    if artifacts.metrics.nearly_sharp_change is not None:
        figures["nearly_sharp_change"] = artifacts.metrics.nearly_sharp_change
    row = deployed_latency(artifacts)
    figures |= {
        "guarded": guarded(artifacts.scores, MODEL),
        "parameters": artifacts.complexity.parameters,
        "latency_ms": row.median_ms,
    }
    figures["file_mb"] = row.file_mb
    return {name: value if isinstance(value, int) else round(value, 5) for name, value in figures.items()}
