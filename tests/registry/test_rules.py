"""The rules of the gate on figures made by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.config.schema import GateConfig
from unblur.evaluation.bootstrap import Interval
from unblur.records.gate import RuleResult
from unblur.records.parity import Parity
from unblur.records.shadow import Tally
from unblur.registry.rules import Measured, explain, judge, judge_shadow

MEASURED = Measured(
    unit="dB",
    scenes=list("abcd"),
    blurred=np.array([20.0, 24.0, 30.0, 34.0]),
    candidate=np.array([22.0, 25.0, 29.8, 33.9]),
    champion=None,
    nearly_sharp=np.array([False, False, True, True]),
    parity=Parity(2e-5, "", True, 3),
    latency_ms=800.0,
    size_mb=6.5,
    guarded=3,
    unblurred=np.array([False, False, True, True]),
)


def verdict(measured: Measured = MEASURED, **rules: Any) -> RuleResult:
    (result,) = judge(GateConfig(**rules), measured)
    return result


def test_without_rules_nothing_is_judged() -> None:
    assert judge(GateConfig(), MEASURED) == []


@pytest.mark.parametrize(
    ("rule", "figure"),
    [
        ("min_psnr", 27.675),
        ("min_gain", 0.675),
        ("max_unblurred_loss", 0.2),
        ("max_sharp_loss", 0.15),
        ("max_parity", 2e-5),
        ("max_latency_ms", 800.0),
        ("max_size_mb", 6.5),
    ],
)
def test_the_figure_and_both_sides_of_the_limit(rule: str, figure: float) -> None:
    worse, better = (0.99, 1.01) if rule.startswith("min_") else (1.01, 0.99)
    passed, refused = verdict(**{rule: figure * worse}), verdict(**{rule: figure * better})
    assert passed.figure == pytest.approx(figure)
    assert passed.passed
    assert not refused.passed
    assert refused.shortfall().startswith(f"{rule}: {refused.figure:.4g}")


def test_what_is_missed_is_told() -> None:
    shortfall = verdict(min_gain=1.0).shortfall()
    assert shortfall == "min_gain: 0.675 dB, at least 1 wanted, missed by 0.325 dB"


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("max_parity", {"parity": None}),
        ("max_latency_ms", {"latency_ms": None}),
        ("max_sharp_loss", {"nearly_sharp": np.zeros(4, bool)}),
        ("min_psnr", {"candidate": np.array([1.0, np.nan, 3.0, 4.0])}),
        ("min_gain", {"candidate": np.array([1.0, np.inf, 3.0, 4.0])}),
        ("max_regression", {"candidate": np.array([1.0, np.nan, 3.0, 4.0]), "champion": np.ones(4)}),
    ],
)
def test_what_is_not_measured_does_not_pass(rule: str, missing: dict[str, Any]) -> None:
    result = verdict(replace(MEASURED, **missing), **{rule: 1e-3})
    assert not result.passed
    assert result.figure is None
    assert "not measured" in result.shortfall()


def test_without_a_champion_there_is_no_regression() -> None:
    assert verdict(max_regression=0.1).passed


def test_regression_is_judged_at_the_lower_end_of_the_interval() -> None:
    # A constant difference has an interval of no width, so the figure is the difference itself.
    measured = replace(MEASURED, champion=MEASURED.candidate + 0.2)
    assert verdict(measured, max_regression=0.2001).passed
    refused = verdict(measured, max_regression=0.1)
    assert not refused.passed
    assert refused.figure == pytest.approx(0.2)


def test_a_better_mean_that_the_pairs_do_not_support_is_refused() -> None:
    difference = np.array([-6.0, 7.0, -5.0, 6.0])  # mean +0.5, but it might be anything
    measured = replace(MEASURED, champion=MEASURED.candidate - difference)
    result = verdict(measured, max_regression=0.1)
    assert not result.passed
    assert result.note.startswith("+0.500 dB, 95% interval [")


@pytest.mark.property
@given(loss=st.floats(-3, 3), limit=st.floats(0.01, 1))
def test_a_constant_loss_passes_exactly_up_to_the_limit(loss: float, limit: float) -> None:
    measured = replace(MEASURED, champion=MEASURED.candidate + loss)
    result = verdict(measured, max_regression=limit, bootstrap_samples=20)
    if abs(loss - limit) > 1e-9:
        assert result.passed == (loss < limit)


@pytest.mark.parametrize(("limit", "passed"), [(3, True), (2, False)])
def test_places_that_the_guard_would_put_back_are_counted(limit: int, passed: bool) -> None:
    assert verdict(max_guarded=limit).passed == passed


def test_a_model_of_fewer_bits_is_held_to_what_it_loses() -> None:
    measured = replace(MEASURED, parity=Parity(0.06, "dB", True, 1))
    (rule,) = judge(GateConfig(max_parity=1e-4, max_lost_db=0.05), measured)
    assert (rule.rule, rule.passed) == ("max_lost_db", False)
    assert rule.shortfall() == "max_lost_db: 0.06 dB, at most 0.05 wanted, missed by 0.01 dB"


def test_a_gain_that_the_pairs_do_not_show_is_refused() -> None:
    measured = replace(MEASURED, candidate=MEASURED.blurred + np.array([3.0, -2.0, 3.5, -2.5]))  # mean +0.5
    assert verdict(measured, min_gain=0.3).passed
    low = verdict(measured, min_gain_low=0.0)
    assert not low.passed
    assert low.figure is not None
    assert -2.5 < low.figure < 0
    assert low.note.startswith("+0.500 dB, 95% interval [-")
    constant = replace(MEASURED, candidate=MEASURED.blurred + 0.4)  # an interval of no width
    assert verdict(constant, min_gain_low=0.39).passed


def test_the_worst_input_without_blur_counts_and_not_their_mean() -> None:
    measured = replace(MEASURED, candidate=MEASURED.blurred + np.array([0, 0, 1.5, -0.84]))
    assert verdict(measured, max_sharp_loss=0.2).passed  # +0.33 dB on average
    result = verdict(measured, max_unblurred_loss=0.5)
    assert (result.passed, result.figure) == (False, pytest.approx(0.84))
    assert verdict(replace(MEASURED, unblurred=np.zeros(4, bool)), max_unblurred_loss=1.0).figure is None


@pytest.mark.parametrize(("with_champion", "figure"), [(-1.2, 0.3), (-0.84, 0.3), (-0.8, 0.84)])
def test_an_input_without_blur_that_the_champion_harms_as_much_does_not_count(
    with_champion: float, figure: float
) -> None:
    lost, lost_now = np.array([0, 0, -0.3, -0.84]), np.array([0, 0, 1.0, with_champion])
    measured = replace(MEASURED, candidate=MEASURED.blurred + lost, champion=MEASURED.blurred + lost_now)
    result = verdict(measured, max_unblurred_loss=0.5)
    assert result.figure == pytest.approx(figure)
    assert result.passed == (figure < 0.5)
    assert ("1 not counted, which lose up to 0.84" in result.note) == result.passed


def strata(differences: list[float]) -> Measured:
    """Twelve pairs in two kinds of six; those of the first differ from the champion by `differences`."""
    blurred, none = np.full(12, 25.0), np.zeros(12, bool)
    masks = {"kind: shake": np.arange(12) < 6, "kind: defocus": np.arange(12) >= 6, "kind: rare": np.arange(12) < 2}
    figures = {"blurred": blurred, "champion": blurred, "candidate": blurred + np.array([*differences, *[1.0] * 6])}
    return replace(MEASURED, **figures, scenes=list("abcdefghijkl"), strata=masks, unblurred=none, nearly_sharp=none)


def test_a_kind_that_certainly_lost_is_refused_though_the_mean_has_risen() -> None:
    lost = strata([-0.5, -0.6, -0.4, -0.5, -0.55, -0.45])
    assert verdict(lost, max_regression=0.5).passed
    result = verdict(lost, max_stratum_regression=0.0)
    assert not result.passed
    assert result.note.startswith("kind: shake: -0.500 dB")
    assert "2 strata" in result.note  # two pairs of the third say nothing
    unsure = strata([-2.5, 1.5, -2.4, 1.6, -2.0, 1.0])  # a mean of -0.47, which may be anything
    assert verdict(unsure, max_stratum_regression=0.0).passed
    assert verdict(MEASURED, max_stratum_regression=0.0).passed  # no champion


def test_intervals_of_strata_hold_together() -> None:
    found = {row.name: row for row in explain(GateConfig(), strata([-2.5, 1.5, -2.4, 1.6, -2.0, 1.0]))}
    assert list(found) == ["all", "kind: shake", "kind: defocus", "kind: rare"]
    assert found["kind: rare"].against is None
    shake = found["kind: shake"]
    assert shake.gain is not None
    assert shake.against is not None
    assert shake.gain[0] == shake.against[0] == pytest.approx(-2.8 / 6)
    assert shake.against[2] - shake.against[1] > shake.gain[2] - shake.gain[1]  # 97.5 % against 95 %


def test_a_slower_candidate_is_judged_by_its_ratio_to_the_champion() -> None:
    measured = replace(MEASURED, champion=MEASURED.candidate, latency_ratio=Interval(1.3, 1.2, 1.4))
    assert verdict(measured, max_latency_ratio=1.35).passed
    assert not verdict(measured, max_latency_ratio=1.25).passed
    assert not verdict(replace(measured, latency_ratio=None), max_latency_ratio=9.0).passed
    assert verdict(MEASURED, max_latency_ratio=0.1).passed  # the first has nothing to be slower than


def test_shadow_rules_are_off_by_default_and_pass_without_a_champion() -> None:
    seen = Tally(10, 10)
    assert judge_shadow(GateConfig(), seen) == []
    rules = GateConfig(min_shadow_requests=5, max_shadow_errors=0.1, min_shadow_psnr=40.0)
    assert all(result.passed for result in judge_shadow(rules, None))
    requests, errors, psnr = judge_shadow(rules, seen, "unblur v1")
    assert requests.passed
    assert not errors.passed
    assert "10 of 10 requests beside unblur v1" in errors.note
    assert (psnr.passed, psnr.figure) == (False, None)  # no answer tells nothing
    assert not judge_shadow(rules, Tally(), "unblur v1")[1].passed
