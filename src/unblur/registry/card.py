"""The model card (Mitchell et al. 2019, "Model Cards for Model Reporting"), generated from what the pipeline wrote."""

import os
import platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from unblur.config.schema import PipelineConfig
from unblur.data.listing import SOURCES, Entry, read_entries
from unblur.errors import UnblurError
from unblur.ingest.layouts.known import LAYOUTS
from unblur.records.latency import COMPLEXITY, LatencyRow, read_complexities, read_latency
from unblur.records.latency import FILE as LATENCY
from unblur.records.parity import Parity
from unblur.records.scores import BLURRED, METRICS, MODEL, SCORES, Evaluation, read_evaluation, read_scores
from unblur.records.training import Training
from unblur.registry.lineage import Lineage
from unblur.reporting.artifacts import require_one_scoring
from unblur.safety.atomic import replacing

FILE = "MODEL_CARD.md"
HUB_LICENCES = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0")
THINGS = {"image": "photographs", "burst": "bursts of photographs", "video": "videos"}  # that a task restores
SHARP = "identity"  # the kind of pairs without blur


@dataclass(frozen=True)
class CardFacts:
    """Everything that the card tells. What a stage has not written is empty or None, and the card says so.

    `parameters` is the number of weights. `task` is image, burst or video; `dataset` is the name of imported
    data, None for the project's own photographs, which alone are listed in `sources`.
    """

    name: str
    task: str
    dataset: str | None
    network: str
    parameters: int | None
    metrics: Evaluation | None
    latency: list[LatencyRow]
    sources: list[Entry]
    training: Training
    lineage: Lineage
    parity: Parity


def collect_facts(cfg: PipelineConfig, root: Path, training: Training, lineage: Lineage, parity: Parity) -> CardFacts:
    """Gather the facts from the folders that `cfg.paths` names.

    Raises:
        UnblurError: a file cannot be read, the evaluation is of other weights than the training's, or its means are
            not those of its scores.
    """
    evaluate, benchmark = root / cfg.paths.evaluate, root / cfg.paths.benchmark
    metrics = read_evaluation(evaluate) if (evaluate / METRICS).is_file() else None
    scored, trained = metrics.model_sha256 if metrics else "", training.model_sha256
    if scored and trained and scored != trained:
        msg = (
            f"{evaluate} holds figures of the weights {scored[:12]}, but {trained[:12]} were trained "
            "last. Bring the pipeline up to date: `dvc repro`."
        )
        raise UnblurError(msg)
    if metrics and (evaluate / SCORES).is_file():
        require_one_scoring(metrics, read_scores(evaluate / SCORES), evaluate)
    data = root / cfg.paths.data
    listed = not cfg.data.manifest and (data / SOURCES).is_file()
    return CardFacts(
        name=cfg.registry.model_name,
        task=cfg.data.task,
        dataset=cfg.data.name if cfg.data.manifest else None,
        network=str(cfg.model.get("_target_", "A network")).rpartition(".")[2],
        parameters=read_complexities(benchmark).parameters if (benchmark / COMPLEXITY).is_file() else None,
        metrics=metrics,
        latency=read_latency(benchmark) if (benchmark / LATENCY).is_file() else [],
        sources=[entry for entry in read_entries(data / SOURCES) if entry.split] if listed else [],
        training=training,
        lineage=lineage,
        parity=parity,
    )


def write_card(facts: CardFacts, folder: Path) -> Path:
    """Write MODEL_CARD.md into `folder` and return its path."""
    path = folder / FILE
    with replacing(path) as unfinished:
        unfinished.write_text(render(facts), encoding="utf-8")
    return path


def is_card(path: Path) -> bool:
    """Say whether a file begins as a model card of unblur does, after its front matter if it has any."""
    try:
        text = path.read_text(encoding="utf-8")
        body = text.partition("\n---\n")[2].lstrip("\n") if text.startswith("---\n") else text
        return body.partition("\n")[0].endswith(": model card")
    except (OSError, ValueError):
        return False


def render(facts: CardFacts) -> str:
    """Return the card as Markdown, with the front matter that Hugging Face's hub reads."""
    environment = Environment(
        loader=PackageLoader("unblur", "registry"),
        autoescape=select_autoescape(),  # of HTML and XML; Markdown stays as it is
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    metrics = facts.metrics
    kinds = set(metrics.strata.get("kind", {})) if metrics else set()
    return _front_matter(facts) + environment.get_template("card.md.j2").render(
        **vars(facts),
        things=THINGS[facts.task],
        kinds=sorted(kinds - {SHARP}),
        imported_pairs=bool(kinds & set(LAYOUTS)),
        profiles=list(metrics.test[MODEL]) if metrics else [],
        nearly_sharp=metrics.nearly_sharp_change if metrics else None,
        unit="dB" if metrics and metrics.profile.startswith("psnr") else "",
        count=Counter(source.split for source in facts.sources),
        licences=_by_licence(facts.sources),
        share_alike=sum(is_share_alike(source.licence) for source in facts.sources),
        credits=_credits(facts.sources),
        machine=f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores",
        trained=_trained(facts.training),
        figure=figure,
    )


def _front_matter(facts: CardFacts) -> str:
    licence, data = facts.lineage.init_licence, facts.dataset or "unblur photographs"
    about: dict[str, Any] = {"license": licence.lower() if licence.lower() in HUB_LICENCES else "other"}
    if about["license"] == "other":
        about["license_name"] = licence or "not written down"
    task = {"type": "video-to-video" if facts.task == "video" else "image-to-image", "name": "deblurring"}
    about |= {
        "library_name": "onnx",
        "pipeline_tag": task["type"],
        "tags": ["deblurring", "image-restoration", "onnx", "unblur"],
        "datasets": [data],
    }
    if facts.metrics:
        reached = [
            {"type": profile.partition("/")[0], "name": profile, "value": round(value, 4)}
            for profile, value in facts.metrics.test[MODEL].items()
        ]
        about["metrics"] = sorted({str(each["type"]) for each in reached})
        dataset = {"name": data, "type": facts.lineage.data_md5, "split": "test"}
        about["model-index"] = [
            {"name": facts.name, "results": [{"task": task, "dataset": dataset, "metrics": reached}]}
        ]
    return f"---\n{yaml.safe_dump(about, sort_keys=False, allow_unicode=True)}---\n\n"


def describe(facts: CardFacts) -> str:
    """Return the short description of the version in MLflow."""
    size = f", {facts.parameters / 1e6:.2f} M parameters" if facts.parameters else ""
    if not facts.metrics:
        return f"{facts.network}{size}. Not evaluated. See MODEL_CARD.md in the run."
    profile, means, pairs = facts.metrics.profile, facts.metrics.test, facts.metrics.pairs
    ours, blurred = (figure(profile, means[method][profile]) for method in (MODEL, BLURRED))
    return f"{facts.network}{size}. {profile} {ours} on {pairs} test pairs, blurred input {blurred}. See MODEL_CARD.md."


def figure(profile: str, value: float) -> str:
    """Write a value with as many decimals as its profile deserves: 2 for dB, 4 for SSIM."""
    return f"{value:.2f}" if profile.startswith("psnr") else f"{value:.4f}"


def _trained(training: Training) -> dict[str, int | str | None]:
    seconds = training.seconds
    return {
        "seed": training.seed,
        "steps": training.steps,
        "training time": None if seconds is None else f"{seconds / 60:.1f} min",
    }


def is_share_alike(licence: str) -> bool:
    """Say whether copies and what is made of them have to stay under that licence; of several, if one asks for it."""
    return any(name in licence for name in ("-SA", "GFDL", "FAL"))


def _credits(sources: list[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Return (author, licence) -> photographs, of those whose list names their originals."""
    credits: dict[tuple[str, str], list[Entry]] = {}
    for source in sorted((source for source in sources if source.address), key=lambda one: (one.author, one.file)):
        credits.setdefault((source.author, source.licence), []).append(source)
    return credits


def _by_licence(sources: list[Entry]) -> dict[str, Counter[str | None]]:
    counts: dict[str, Counter[str | None]] = {}
    for source in sorted(sources, key=lambda source: source.licence):
        counts.setdefault(source.licence, Counter())[source.split] += 1
    return counts
