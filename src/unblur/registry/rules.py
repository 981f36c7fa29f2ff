"""The rules of the promotion gate: figures in, one verdict a rule out. No files, no MLflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import GateConfig
from unblur.evaluation.bootstrap import Interval, paired_bootstrap
from unblur.records.gate import RuleResult, StratumRow
from unblur.records.parity import Parity
from unblur.records.shadow import Tally
from unblur.registry.strata import FEWEST, Mask, Values, strata_rows

NO_CHAMPION = "there is no other champion to compare with"


LOW = 0.05  # share of the answers that may be below min_shadow_psnr


@dataclass(frozen=True)
class Measured:
    """What the gate has measured. The arrays hold one value a test pair, in the same order: (N,).

    `scenes` names what each pair was made of. `nearly_sharp` tells the pairs whose input is hardly blurred
    (evaluation/strata.py), `unblurred` those with no blur to speak of, `strata` the pairs of every stratum.
    `parity` is how far the ONNX file is from the PyTorch one, None where nobody has compared them. `guarded` are
    the places of all outputs that the guard of `unblur restore` would put back. `champion` are the values of the
    champion, or where there is none of the model of the name `stand_in`. `latency_ratio` is the candidate's time
    over the champion's: mean and interval, of rounds in turn.
    """

    unit: str
    scenes: Sequence[str]
    blurred: Values
    candidate: Values
    champion: Values | None
    nearly_sharp: NDArray[np.bool_]
    parity: Parity | None
    latency_ms: float | None
    size_mb: float
    guarded: int
    unblurred: Mask = field(default_factory=lambda: np.zeros(0, bool))
    strata: Mapping[str, Mask] = field(default_factory=dict)
    latency_ratio: Interval | None = None
    stand_in: str = ""


def judge(rules: GateConfig, measured: Measured, seed: int = 0) -> list[RuleResult]:
    """Hold the figures against every rule that is switched on; a figure that is missing or NaN does not pass.

    - min_psnr: the candidate's mean over the test pairs.
    - min_gain: that mean less the mean of the blurred inputs.
    - min_gain_low: the lower end of the confidence interval of that gain, a paired bootstrap over the scenes. So a
      candidate is refused unless the test pairs show that it gains at all.
    - max_sharp_loss: what nearly sharp inputs (blur under 2 pixels) lose on average.
    - max_unblurred_loss: what the worst of the inputs without blur loses. A mean would hide it. An input that loses no
      more than with the champion does not count: it would be kept for a model that harms it as much.
    - max_regression: passes when the lower end of the confidence interval of (candidate - champion), a paired
      bootstrap over the scenes, is not below -max_regression. So a candidate is refused unless the test pairs show
      that it is not worse than that. Without a champion it is the model that `without_champion` names, which
      `unblur restore` would go on to take; without that too there is nothing to regress from: it passes.
    - max_stratum_regression: what a stratum certainly loses against the champion: the upper end of its interval, and
      all intervals hold together. Strata of under three scenes are left out.
    - max_parity: of the difference to the PyTorch network; of a model of fewer bits it is max_lost_db, by the PSNR that
      it loses on the validation pairs.
    - max_latency_ms, max_size_mb: ceilings. max_latency_ratio: of the champion's time, measured in turn.
    - max_guarded: places of the outputs that the guard of `unblur restore` would put back to the input.
    """
    results = [
        _verdict("min_psnr", rules.min_psnr, float(measured.candidate.mean()), measured.unit, "mean of the test pairs"),
        _verdict(
            "min_gain",
            rules.min_gain,
            float((measured.candidate - measured.blurred).mean()),
            measured.unit,
            f"over the blurred input at {measured.blurred.mean():.4g} {measured.unit}",
        ),
        _gain_low(rules, measured, seed),
        _sharp_loss(rules.max_sharp_loss, measured),
        _unblurred_loss(rules.max_unblurred_loss, measured),
        _regression(rules, measured, seed),
        _stratum_regression(rules, measured, seed),
        _parity(rules, measured.parity),
        _verdict("max_latency_ms", rules.max_latency_ms, measured.latency_ms, "ms", _size_note(rules)),
        _latency_ratio(rules.max_latency_ratio, measured),
        _verdict("max_size_mb", rules.max_size_mb, measured.size_mb, "MB", "the ONNX file, 1 MB = 10^6 bytes"),
        _verdict("max_guarded", rules.max_guarded, measured.guarded, "", "places that the guard would put back"),
    ]
    return [result for result in results if result is not None]


def judge_shadow(rules: GateConfig, seen: Tally | None, champion: str = "") -> list[RuleResult]:
    """Hold what servers have seen of the candidate in the champion's shadow against the rules that are on.

    - min_shadow_requests: requests that were put to both; 0 does not ask.
    - max_shadow_errors: share of them that brought no answer.
    - min_shadow_psnr: between the two answers, at the 5th percentile.

    Without a champion, where `seen` is None, there is nobody in whose shadow to be: all pass.
    """
    fewest = rules.min_shadow_requests or None
    asked = {
        "min_shadow_requests": (fewest, ""),
        "max_shadow_errors": (rules.max_shadow_errors, ""),
        "min_shadow_psnr": (rules.min_shadow_psnr, "dB"),
    }
    if seen is None:
        on = [(rule, limit, unit) for rule, (limit, unit) in asked.items() if limit is not None]
        return [RuleResult(rule, None, limit, unit, True, NO_CHAMPION) for rule, limit, unit in on]
    note = f"requests beside {champion}, by `unblur serve --shadow`"
    if seen.answers:
        note += (
            f": PSNR {seen.psnr_at(0.5)} dB in the middle, colour moved by {seen.colour_shift_max:.2f} of 255 at most, "
            f"the guard put back {seen.guarded} times (champion: {seen.champion_guarded})"
        )
    found: dict[str, tuple[float | None, str]] = {
        "min_shadow_requests": (seen.requests, note),
        "max_shadow_errors": (seen.error_share, f"{seen.errors} of {seen.requests} requests beside {champion}"),
        "min_shadow_psnr": (
            seen.psnr_at(LOW),
            f"to the answers of {champion}, 5th percentile of {seen.answers}",
        ),
    }
    results = [_verdict(rule, limit, found[rule][0], unit, found[rule][1]) for rule, (limit, unit) in asked.items()]
    return [result for result in results if result is not None]


def explain(rules: GateConfig, measured: Measured, seed: int = 0) -> list[StratumRow]:
    """Return what the verdict is about, stratum by stratum."""
    return strata_rows(
        measured.strata,
        measured.scenes,
        measured.blurred,
        measured.candidate,
        measured.champion,
        confidence=rules.confidence,
        samples=rules.bootstrap_samples,
        seed=seed,
    )


def _gain_low(rules: GateConfig, measured: Measured, seed: int) -> RuleResult | None:
    limit, gain = rules.min_gain_low, measured.candidate - measured.blurred
    if limit is None or not np.isfinite(gain).all():
        return _verdict("min_gain_low", limit, float("nan"), measured.unit, "")
    found = paired_bootstrap(gain, measured.scenes, rules.confidence, rules.bootstrap_samples, seed)
    return _verdict("min_gain_low", limit, found.low, measured.unit, _interval(found, measured.unit, rules.confidence))


def _sharp_loss(limit: float | None, measured: Measured) -> RuleResult | None:
    count = int(measured.nearly_sharp.sum())
    if count == 0:
        return _verdict("max_sharp_loss", limit, None, measured.unit, "no nearly sharp pairs among the test pairs")
    loss = float((measured.blurred - measured.candidate)[measured.nearly_sharp].mean())
    return _verdict("max_sharp_loss", limit, loss, measured.unit, f"mean of {count} pairs with blur under 2 px")


def _unblurred_loss(limit: float | None, measured: Measured) -> RuleResult | None:
    count = int(measured.unblurred.sum())
    if count == 0:
        return _verdict("max_unblurred_loss", limit, None, measured.unit, "no pair without blur among the test pairs")
    loss = (measured.blurred - measured.candidate)[measured.unblurred]
    if limit is None or not np.isfinite(loss).all():
        return _verdict("max_unblurred_loss", limit, float("nan"), measured.unit, "")
    note = f"the worst of {count} pairs with blur under 1 px, {-loss.mean():+.3f} {measured.unit} on average"
    forgiven = np.zeros(count, bool)
    if measured.champion is not None:
        forgiven = (loss > limit) & (loss <= (measured.blurred - measured.champion)[measured.unblurred])
        if forgiven.any():
            than = measured.stand_in or "the champion"
            note += f"; {forgiven.sum()} not counted, which lose up to {loss.max():.2f} and no more than with {than}"
    worst = 0.0 if forgiven.all() else float(loss[~forgiven].max())
    return _verdict("max_unblurred_loss", limit, worst, measured.unit, note)


def _regression(rules: GateConfig, measured: Measured, seed: int) -> RuleResult | None:
    limit = rules.max_regression
    if limit is None:
        return None
    if measured.champion is None:
        return RuleResult("max_regression", None, limit, measured.unit, True, NO_CHAMPION)
    difference = measured.candidate - measured.champion
    if not np.isfinite(difference).all():
        return _verdict("max_regression", limit, float("nan"), measured.unit, "")
    found = paired_bootstrap(difference, measured.scenes, rules.confidence, rules.bootstrap_samples, seed)
    note = _interval(found, measured.unit, rules.confidence)
    if measured.stand_in:
        note += f"; against {measured.stand_in}, as there is no champion"
    return _verdict("max_regression", limit, -found.low, measured.unit, note)


def _stratum_regression(rules: GateConfig, measured: Measured, seed: int) -> RuleResult | None:
    rule, limit, unit = "max_stratum_regression", rules.max_stratum_regression, measured.unit
    if limit is None:
        return None
    if measured.champion is None:
        return RuleResult(rule, None, limit, unit, True, NO_CHAMPION)
    rows = explain(rules, measured, seed)
    lost = {row.name: (-row.against[2], row.against) for row in rows if row.name != "all" and row.against}
    if not lost or not np.isfinite(measured.candidate - measured.champion).all():
        return _verdict(rule, limit, None, unit, f"no stratum has {FEWEST} scenes with figures")
    worst = max(lost, key=lambda name: lost[name][0])
    figure, (mean, low, high) = lost[worst]
    note = f"{worst}: {mean:+.3f} {unit}, [{low:+.3f}, {high:+.3f}]; {len(lost)} strata, intervals that hold together"
    return _verdict(rule, limit, figure, unit, note)


def _latency_ratio(limit: float | None, measured: Measured) -> RuleResult | None:
    rule, found = "max_latency_ratio", measured.latency_ratio
    if limit is None:
        return None
    if measured.champion is None or measured.stand_in:
        return RuleResult(rule, None, limit, "", True, NO_CHAMPION)
    if found is None:
        return _verdict(rule, limit, None, "", "the champion was not timed")
    note = f"times the champion's, in turn; 95% interval [{found.low:.3f}, {found.high:.3f}]"
    return _verdict(rule, limit, found.mean, "", note)


def _interval(found: Interval, unit: str, confidence: float) -> str:
    return f"{found.mean:+.3f} {unit}, {confidence:.0%} interval [{found.low:+.3f}, {found.high:+.3f}]"


def _parity(rules: GateConfig, parity: Parity | None) -> RuleResult | None:
    if parity is None:
        return _verdict("max_parity", rules.max_parity, None, "", "no parity.csv belongs to this file")
    note = f"against the PyTorch network, {parity.comparisons} comparisons"
    if parity.unit:
        return _verdict("max_lost_db", rules.max_lost_db, parity.largest, parity.unit, note)
    return _verdict("max_parity", rules.max_parity, parity.largest, "", note)


def _size_note(rules: GateConfig) -> str:
    height, width = rules.latency_size
    return f"one {width}x{height} image, as `unblur restore` would run it"


def _verdict(rule: str, limit: float | None, figure: float | None, unit: str, note: str) -> RuleResult | None:
    """A rule is a floor or a ceiling by its name; a null limit switches it off."""
    if limit is None:
        return None
    if figure is None or not np.isfinite(figure):
        return RuleResult(rule, None, limit, unit, False, note if figure is None else f"the figure is {figure}")
    passed = figure >= limit if rule.startswith("min_") else figure <= limit
    return RuleResult(rule, figure, limit, unit, passed, note)
