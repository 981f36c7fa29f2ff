"""Pairs put into strata by hand."""

from typing import Any, cast

import numpy as np

from unblur.data.manifest import PairRow
from unblur.registry.strata import strata_masks, strata_rows


def row(kind: str, strength: float) -> PairRow:
    values: dict[str, Any] = {"kind": kind, "strength": strength}
    return cast("PairRow", type("Row", (), values)())


def test_every_pair_is_in_one_stratum_of_each_kind() -> None:
    rows = [row("shake", 5.0), row("shake", 9.0), row("identity", 0.0), row("defocus", 3.0)]
    blurred = np.array([30.0, 20.0, 40.0, 25.0])
    masks = strata_masks(rows, [0.1, 0.25, 0.5, 0.9], blurred)
    members = {name: np.flatnonzero(mask).tolist() for name, mask in masks.items()}
    assert members == {
        "kind: defocus": [3],
        "kind: identity": [2],
        "kind: shake": [0, 1],
        "strength: nearly sharp": [2],
        "strength: 2 to 8 px": [0, 3],
        "strength: 8 to 14 px": [1],
        "brightness: dark": [0],
        "brightness: medium": [1],
        "brightness: bright": [2, 3],
        "difficulty: easy": [0, 2],
        "difficulty: medium": [3],
        "difficulty: hard": [1],
    }


def test_figures_that_are_not_finite_get_no_interval() -> None:
    values, broken = np.arange(4.0), np.array([0.0, np.nan, 2.0, 3.0])
    (all_pairs,) = strata_rows({}, list("abcd"), values, broken, values, confidence=0.95, samples=50, seed=0)
    assert all_pairs.gain is None
    assert all_pairs.against is None


def test_pairs_of_two_scenes_are_too_few_for_an_interval() -> None:
    values, gain = np.arange(6.0), np.array([0.5, 0.2, 0.4, 0.3, 0.1, 0.6])
    masks = {"kind: shake": np.array([True] * 4 + [False] * 2)}
    rows = strata_rows(masks, list("aabbcc"), values, values + gain, values, confidence=0.95, samples=50, seed=0)
    assert [row.gain is None for row in rows] == [False, True]
    assert rows[1].pairs == 4
