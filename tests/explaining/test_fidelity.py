"""A true map passes, an arbitrary one fails, and one that does not depend on the model is caught."""

from dataclasses import replace

import numpy as np
import pytest

from unblur.errors import UnblurError, UsageError
from unblur.explaining.blocks import grid
from unblur.explaining.fidelity import agreement, failures, measure, shuffled, trial_of
from unblur.explaining.gradients import integrated_gradients, local_attribution
from unblur.explaining.methods import METHODS, Made, chosen, reference_of


@pytest.fixture
def trial(subject):
    return trial_of(subject, reference_of(subject, grid(96, 96, 8), 8))


def test_a_true_map_passes_and_an_arbitrary_one_fails(trial, monkeypatch):
    row = measure(trial, "lam", local_attribution(trial.subject))
    assert row.deletion_low > 0.1
    assert row.insertion_low > 0.1
    assert row.completeness_error < 0.01
    assert row.rank_correlation > 0.8
    assert row.failed == ""

    def arbitrary(subject, reference, seed):
        return Made(np.random.default_rng(seed).normal(size=(1, 96, 96)))

    monkeypatch.setitem(METHODS, "lam", replace(METHODS["lam"], make=arbitrary))
    row = measure(trial, "lam", arbitrary(trial.subject, None, 0).map)
    assert row.rank_correlation < 0.5
    assert {"does not add up", "disagrees with intervention", "unstable"} <= set(row.failed.split(", "))


def test_a_map_of_the_picture_alone_is_the_same_with_shuffled_weights(trial, monkeypatch):
    def edges(subject, reference, seed):
        return Made(np.abs(np.diff(subject.window.numpy().mean(axis=1), axis=2, append=0)))

    monkeypatch.setitem(METHODS, "occlusion", replace(METHODS["occlusion"], make=edges))
    row = measure(trial, "occlusion", edges(trial.subject, None, 0).map)
    assert row.unchanged == pytest.approx(1)
    assert "the same with shuffled weights" in failures(row)


def test_the_intervention_is_asked_of_some_blocks_everywhere_and_passes(trial):
    assert trial.places.reshape(4, 8)[0].tolist() == [0, 2, 4, 6, 9, 11, 13, 15]
    assert trial.fewer.reshape(4, 4)[:2].tolist() == [[0, 2, 4, 6], [16, 18, 20, 22]]
    found = METHODS["intervention"].make(trial.subject, trial.reference, 0).map
    row = measure(trial, "intervention", found)
    assert row.failed == ""
    assert row.stability > 0.9


def test_shuffling_keeps_values_and_leaves_the_network_alone(network):
    before = network.filter.weight.clone()
    other = shuffled(network)
    assert (network.filter.weight == before).all()
    assert (other.filter.weight.flatten().sort().values == before.flatten().sort().values).all()
    assert not (other.filter.weight == before).all()


def test_maps_agree_with_themselves(subject):
    found = integrated_gradients(subject)
    assert agreement(found, found) == pytest.approx(1)
    assert agreement(found, -found) == pytest.approx(-1)


def test_a_map_by_gradients_of_a_model_without_them_is_refused(subject):
    blind = replace(subject, network=None)
    assert chosen(None, blind, "box") == ["occlusion", "lime", "intervention"]
    with pytest.raises(UnblurError, match=r"box: has no gradients, which lam needs; take occlusion, lime"):
        chosen(["lam"], blind, "box")
    with pytest.raises(UsageError, match="no map is named; there are lam"):
        chosen([], subject, "box")
    with pytest.raises(UsageError, match="nonsense: no such map; there are lam"):
        chosen(["nonsense"], subject, "box")
