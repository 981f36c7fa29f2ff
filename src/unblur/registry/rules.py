"""The rules of the promotion gate: figures in, one verdict a rule out. No files, no MLflow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import GateConfig
from unblur.evaluation.bootstrap import paired_bootstrap
from unblur.records.gate import RuleResult
from unblur.records.parity import Parity

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What the gate has measured. The arrays hold one value a test pair, in the same order: (N,).

    `nearly_sharp` tells the pairs whose input is hardly blurred (evaluation/strata.py). `parity` is how
    far the ONNX file is from the PyTorch network; None where nobody has compared them. `guarded` are the places of all
    outputs that the guard of `unblur restore` would put back.
    """

    unit: str
    blurred: Values
    candidate: Values
    champion: Values | None
    nearly_sharp: NDArray[np.bool_]
    parity: Parity | None
    latency_ms: float | None
    size_mb: float
    guarded: int


def judge(rules: GateConfig, measured: Measured, seed: int = 0) -> list[RuleResult]:
    """Hold the figures against every rule that is switched on; a figure that is missing or NaN does not pass.

    - min_psnr: the candidate's mean over the test pairs.
    - min_gain: that mean less the mean of the blurred inputs.
    - max_sharp_loss: what nearly sharp inputs (blur under 2 pixels) lose on average.
    - max_regression: passes when the lower end of the confidence interval of (candidate - champion), a paired
      bootstrap over the pairs, is not below -max_regression. So a candidate is refused unless the test pairs show
      that it is not worse than that. Without a champion there is nothing to regress from: it passes.
    - max_parity: of the difference to the PyTorch network; of a model of fewer bits it is max_lost_db, by the PSNR that
      it loses on the validation pairs.
    - max_latency_ms, max_size_mb: ceilings.
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
        _sharp_loss(rules.max_sharp_loss, measured),
        _regression(rules, measured, seed),
        _parity(rules, measured.parity),
        _verdict("max_latency_ms", rules.max_latency_ms, measured.latency_ms, "ms", _size_note(rules)),
        _verdict("max_size_mb", rules.max_size_mb, measured.size_mb, "MB", "the ONNX file, 1 MB = 10^6 bytes"),
        _verdict("max_guarded", rules.max_guarded, measured.guarded, "", "places that the guard would put back"),
    ]
    return [result for result in results if result is not None]


def _sharp_loss(limit: float | None, measured: Measured) -> RuleResult | None:
    count = int(measured.nearly_sharp.sum())
    if count == 0:
        return _verdict("max_sharp_loss", limit, None, measured.unit, "no nearly sharp pairs among the test pairs")
    loss = float((measured.blurred - measured.candidate)[measured.nearly_sharp].mean())
    return _verdict("max_sharp_loss", limit, loss, measured.unit, f"mean of {count} pairs with blur under 2 px")


def _regression(rules: GateConfig, measured: Measured, seed: int) -> RuleResult | None:
    limit = rules.max_regression
    if limit is None:
        return None
    if measured.champion is None:
        return RuleResult("max_regression", None, limit, measured.unit, True, "the first: there is no champion yet")
    difference = measured.candidate - measured.champion
    if not np.isfinite(difference).all():
        return _verdict("max_regression", limit, float("nan"), measured.unit, "")
    found = paired_bootstrap(difference, rules.confidence, rules.bootstrap_samples, seed)
    note = f"{found.mean:+.3f} {measured.unit}, {rules.confidence:.0%} interval [{found.low:+.3f}, {found.high:+.3f}]"
    return _verdict("max_regression", limit, -found.low, measured.unit, note)


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
