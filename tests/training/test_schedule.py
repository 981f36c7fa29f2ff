"""The schedule's values against the cosine's formula."""

import math

import pytest
import torch

from unblur.training.schedule import WarmupCosine


def rates(total_steps: int, warmup: float, min_ratio: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=2.0)
    schedule = WarmupCosine(optimizer, total_steps=total_steps, warmup=warmup, min_ratio=min_ratio)
    found = []
    for _ in range(total_steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_cosine_without_warmup():
    expected = [2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / 10))) for step in range(11)]
    assert rates(10, 0.0, 0.1) == pytest.approx(expected)


def test_warmup_rises_to_the_highest_rate_and_falls_to_the_lowest():
    found = rates(100, 0.1, 0.01)
    assert found[:10] == pytest.approx([2.0 * (step + 1) / 11 for step in range(10)])
    assert max(found) == found[10] == pytest.approx(2.0)
    assert found[10:] == sorted(found[10:], reverse=True)
    assert found[100] == pytest.approx(0.02)


def test_ratio_one_is_constant():
    assert set(rates(5, 0.0, 1.0)) == {2.0}


def test_a_hold_keeps_the_highest_rate_before_the_fall():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = WarmupCosine(optimizer, total_steps=100, hold=0.3)
    rates = []
    for _ in range(100):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[:31] == [1.0] * 31
    assert rates[65] == pytest.approx(0.5, abs=0.01)
    assert rates[-1] < 0.01
