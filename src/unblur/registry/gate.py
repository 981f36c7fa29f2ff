"""The promotion gate: load candidate and champion as a user would, score both on the same pairs, judge by the rules."""

import hashlib
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unblur.benchmark.runtimes import in_sequences
from unblur.config.provenance import data_version
from unblur.config.schema import PipelineConfig
from unblur.config.tracking import store_errors, tracking_client
from unblur.data.manifest import PairRow, read_manifest
from unblur.data.pictures import check_task, require_unchanged
from unblur.errors import UnblurError
from unblur.evaluation.bootstrap import Interval
from unblur.evaluation.score_table import guarded
from unblur.evaluation.strata import NEARLY_SHARP, strength_bin
from unblur.models.catalogue import Model, find
from unblur.models.loading import load_by_name
from unblur.pipeline.code import WITHOUT
from unblur.pipeline.sources import Sources
from unblur.records.gate import FILE, OF_SHADOW, GateRecord, RuleResult, Subject, differences, is_record, write_record
from unblur.records.parity import Parity, read_onnx_parity
from unblur.records.scores import Score
from unblur.registry.ledger import Ledger
from unblur.registry.lock import registry_lock
from unblur.registry.projection import finish_interrupted, retire_challenger
from unblur.registry.record import find_record, publish
from unblur.registry.rules import Measured, explain, judge, judge_shadow
from unblur.registry.shadowed import read_tally
from unblur.registry.strata import Values, strata_masks
from unblur.registry.versions import (
    CHALLENGER,
    CHAMPION,
    Version,
    candidate_version,
    read_aliases,
    read_version,
    require_same_task,
)
from unblur.runtimes.mlflow_reference import fetched_graph
from unblur.runtimes.restorer import Restorer, load_restorer
from unblur.safety.hashing import sha256_file
from unblur.safety.owned import check_replaceable

if TYPE_CHECKING:
    from mlflow import MlflowClient

Batch = NDArray[np.float32]
Track = Callable[[Sequence[Any]], Iterable[Any]]
MANIFEST = "manifest.csv"
LATENCY_RUNS = 5
GATE = "registry/gate.py"
JUDGES = ("registry/rules.py", "evaluation/score.py")  # with all that they reach: metrics, bootstrap, strata, the guard
UNBLURRED_PX = 1.0  # a point-spread function of a pixel is no blur
OF_CHAMPION = ("candidate_sha256", "data_md5", "pairs_sha256", "rules", "code")
"""What of a verdict about the champion may not have changed since."""


@store_errors()
def run_gate(
    cfg: PipelineConfig, root: Path, track: Callable[[str], Track] = lambda _: lambda rows: rows
) -> GateRecord | None:
    """Judge the version under the alias `candidate`, and write and log gate.json.

    A verdict that the registry has for this candidate, champion, data, pairs, rules and their code is not computed
    again. It knows it by the SHA-256 of gate.json, so a file that was edited does not count. What servers have seen of
    the candidate in the champion's shadow is asked for each time.

    Args:
        cfg: `gate` holds the rules, `paths` the places, `registry` the model's name.
        root: the project's root.
        track: takes a description and returns a wrapper of the pairs, for a progress bar.

    Returns:
        The verdict, favourable or not; None when the candidate is the champion already, and was judged by these rules
        on these pairs. Where either has changed since, the champion is judged once more.

    Raises:
        UnblurError: there is no candidate, no test pair, the champion is for another task, or a file has changed since
            it was registered or prepared.
    """
    client = tracking_client()
    name = cfg.registry.model_name
    ledger = Ledger(client, name).read()
    aliases = finish_interrupted(ledger)[0].aliases
    candidate = candidate_version(client, name, aliases)
    again = aliases.get(CHAMPION) == candidate.number
    champion = read_version(client, name, aliases[CHAMPION]) if CHAMPION in aliases and not again else None
    require_same_task(candidate, candidate.tags.get("task"), champion)
    prepared, folder = root / cfg.paths.prepared, root / cfg.paths.registry
    check_replaceable(folder / FILE, is_record)
    stand_in = _stand_in(cfg.gate.without_champion, candidate) if champion is None else None
    subject = _subject(cfg, root, prepared, candidate, champion or stand_in)
    shadow = _of_shadow(cfg, client, candidate, champion)
    known = _known_verdict(client, candidate, subject, folder, of_champion=again)
    if known is not None and (again or [result for result in known.results if result.rule in OF_SHADOW] == shadow):
        write_record(known, folder)
        return None if again and known.passed else known
    if known is None:
        measured = _measure(cfg, root, candidate, champion=champion, stand_in=stand_in, track=track)
        known = replace(_verdict(cfg, subject, measured), of_champion=again)
    results = [*(result for result in known.results if result.rule not in OF_SHADOW), *shadow]
    record = replace(known, results=results, passed=all(result.passed for result in results))
    with registry_lock(client, name):
        publish(client, candidate, write_record(record, folder), record, read_aliases(client, name).get(CHALLENGER))
    # By an earlier verdict it may have been promoted meanwhile; whoever did that saw no challenger yet.
    if record.challenges and not again and ledger.read().champion == candidate.number:
        retire_challenger(client, name, candidate.number)
    return record


def latency_ms(restorer: Restorer, height: int, width: int, runs: int = LATENCY_RUNS) -> float:
    """Return the median time in ms of restoring one (1, 3, height, width) image, after one run to warm up.

    Of video and bursts it is four frames at once.
    """
    return statistics.median(rounds_ms([restorer], height, width, runs)[0])


def rounds_ms(restorers: Sequence[Restorer], height: int, width: int, runs: int = LATENCY_RUNS) -> list[list[float]]:
    """Return the times in ms of each restorer, one a round; in every round they run in turn, after one to warm up."""
    batch = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    calls = [in_sequences(restorer, restorer.task) for restorer in restorers]
    for run in calls:
        run(batch)
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(runs):
        for run, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            run(batch)
            taken.append((time.perf_counter() - start) * 1000)
    return times


def _stand_in(name: str | None, candidate: Version) -> Model | None:
    """Return the model of the catalogue that stands in for a champion, None for a candidate with another task."""
    model = find(name) if name else None
    return model if model and model.task == candidate.tags.get("task", model.task) else None


def _subject(
    cfg: PipelineConfig, root: Path, prepared: Path, candidate: Version, compared: Version | Model | None
) -> Subject:
    manifest = prepared / MANIFEST
    if not manifest.is_file():
        msg = f"{manifest} is missing: there are no test pairs to judge on. Run `unblur prepare`."
        raise UnblurError(msg)
    return Subject(
        model=candidate.name,
        candidate=candidate.number,
        candidate_sha256=candidate.sha256,
        champion=compared.number if isinstance(compared, Version) else None,
        champion_sha256=compared.sha256 if compared else None,
        data_md5=data_version(root),
        pairs_sha256=sha256_file(manifest),
        rules=asdict(cfg.gate),
        code=code_of_rules(),
    )


def code_of_rules() -> str:
    """Return the SHA-256 of the code that a verdict depends on, comments and docstrings left out."""
    sources = Sources()
    files = sorted(sources.reached(JUDGES, WITHOUT) | {GATE})
    return hashlib.sha256("\n".join(f"{file} {sources.fingerprint(file)}" for file in files).encode()).hexdigest()


def _known_verdict(
    client: "MlflowClient", candidate: Version, subject: Subject, folder: Path, *, of_champion: bool
) -> GateRecord | None:
    """Return the verdict that the registry knows of, if it is about this very subject."""
    try:
        record = find_record(client, candidate, folder)
    except UnblurError:
        return None  # written by another version of unblur, so it is judged anew
    if record is None:
        return None
    changed = set(differences(record.subject, subject))
    return None if changed & set(OF_CHAMPION) or (changed and not of_champion) else record


def _measure(
    cfg: PipelineConfig,
    root: Path,
    candidate: Version,
    *,
    champion: Version | None,
    stand_in: Model | None,
    track: Callable[[str], Track],
) -> Measured:
    """Load the versions and measure them."""
    from unblur.evaluation.score import score  # these two import torch, which a known verdict does without
    from unblur.metrics.profiles import get_profile

    prepared, profile = root / cfg.paths.prepared, cfg.gate.profile
    rows = [row for row in read_manifest(prepared) if row.split == "test"]
    _check_pairs(rows, prepared)

    def scored(method: str, restore: Callable[[Batch], Batch]) -> list[Score]:
        return score(method, restore, rows, prepared, [profile], track=track(f"gate: {method}"))

    def values(scores: Sequence[Score]) -> Values:
        return np.array([item.value for item in scores if item.profile == profile], dtype=np.float64)

    restorer = load_restorer(candidate.uri, cfg.benchmark.threads)
    check_task(rows, prepared, restorer.task)
    of_candidate = scored("candidate", restorer)
    best = load_restorer(champion.uri, cfg.benchmark.threads) if champion else None
    name = "champion" if champion else stand_in.name if stand_in else ""
    other = load_by_name(name, cfg.benchmark.threads) if stand_in else best
    brightness: list[float] = []

    def unchanged(batch: Batch) -> Batch:
        brightness.append(float(batch.mean()))
        return batch

    blurred = values(scored("blurred", unchanged))
    latency, ratio = _latency(cfg, restorer, best)
    size_mb = len(fetched_graph(candidate.uri).content) / 1e6
    return Measured(
        unit=get_profile(profile).unit,
        scenes=[row.scene for row in rows],
        blurred=blurred,
        candidate=values(of_candidate),
        champion=values(scored(name, other)) if other else None,
        nearly_sharp=np.array([strength_bin(row.kind, row.strength) == NEARLY_SHARP for row in rows]),
        parity=_parity(root / cfg.paths.export, candidate),
        latency_ms=latency,
        size_mb=size_mb,
        guarded=guarded(of_candidate, "candidate"),
        unblurred=np.array([row.kind == "identity" or row.strength < UNBLURRED_PX for row in rows]),
        strata=strata_masks(rows, brightness, blurred),
        latency_ratio=ratio,
        stand_in=stand_in.name if stand_in else "",
    )


def _latency(cfg: PipelineConfig, restorer: Restorer, best: Restorer | None) -> tuple[float | None, Interval | None]:
    """Return the candidate's ms, and its time over the champion's, as far as rules ask for them."""
    from unblur.benchmark.choice import ratio_interval

    height, width = cfg.gate.latency_size
    timed = [restorer, best] if best is not None and cfg.gate.max_latency_ratio is not None else [restorer]
    if cfg.gate.max_latency_ms is None and len(timed) == 1:
        return None, None
    rounds = rounds_ms(timed, height, width)
    ms = statistics.median(rounds[0])
    if len(rounds) == 1:
        return ms, None
    low, high = ratio_interval(rounds[0], rounds[1])
    return ms, Interval(math.sqrt(low * high), low, high)  # the middle, as the interval is one of logarithms


def _of_shadow(
    cfg: PipelineConfig, client: "MlflowClient", candidate: Version, champion: Version | None
) -> list[RuleResult]:
    """Judge what servers have seen of the candidate beside the champion, if rules ask for it."""
    rules = cfg.gate
    if not rules.min_shadow_requests and rules.max_shadow_errors is None and rules.min_shadow_psnr is None:
        return []
    if champion is None:
        return judge_shadow(rules, None)
    seen = read_tally(client, candidate.name, candidate.sha256, champion.sha256)
    return judge_shadow(rules, seen, str(champion))


def _verdict(cfg: PipelineConfig, subject: Subject, measured: Measured) -> GateRecord:
    results = judge(cfg.gate, measured, cfg.seed)
    finite = bool(np.isfinite(measured.candidate).all() and np.isfinite(measured.blurred).all())
    means = {"blurred": measured.blurred, "candidate": measured.candidate}
    if measured.champion is not None:
        means[measured.stand_in or "champion"] = measured.champion
    return GateRecord(
        subject=subject,
        passed=all(result.passed for result in results),
        results=results,
        pairs=len(measured.blurred),
        means={name: float(values.mean()) for name, values in means.items() if np.isfinite(values).all()},
        machine=f"{platform.machine()}, {cfg.benchmark.threads} threads",
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        strata=explain(cfg.gate, measured, cfg.seed) if finite else [],
    )


def _check_pairs(rows: Sequence[PairRow], prepared: Path) -> None:
    if not rows:
        msg = f"{prepared / MANIFEST} lists no test pairs. Set data.pairs_per_photo.test and run `unblur prepare`."
        raise UnblurError(msg)
    for row in rows:
        require_unchanged(row, prepared)


def _parity(export: Path, candidate: Version) -> Parity | None:
    """Return what parity.csv says if it belongs to this file, else what was noted at registration."""
    variant = candidate.tags.get("variant", "")
    model = export / variant / "model.onnx"
    if variant and model.is_file() and sha256_file(model) == candidate.sha256:
        return read_onnx_parity(export, variant)
    noted = candidate.tags.get("parity")
    return Parity(float(noted), candidate.tags.get("parity_unit", ""), True, 1) if noted else None
