"""Of a linear network the effect of a block is the sum of the attributions in it."""

import numpy as np
import pytest

from unblur.explaining.blocks import grid
from unblur.explaining.gradients import integrated_gradients
from unblur.explaining.intervention import exhaustive, refined
from unblur.explaining.superpixels import lime, occlusion, segments


def test_blocks_share_out_the_window():
    masks = grid(50, 70, 6).masks
    assert masks.shape == (36, 50, 70)
    assert np.abs(masks.sum(axis=0) - 1).max() < 1e-5


def test_scattered_groups_share_out_the_blocks():
    blocks = grid(64, 64, 8)
    groups = blocks.scattered(8)
    assert groups.masks.shape == (16, 64, 64)
    assert np.abs(groups.masks.sum(axis=0) - 1).max() < 1e-5
    assert np.abs(groups.masks[0] - blocks.masks[[0, 4, 32, 36]].sum(axis=0)).max() == 0


def test_effects_are_the_sums_of_attributions(subject):
    blocks = grid(96, 96, 8)
    effects = exhaustive(subject, blocks)
    assert np.abs(effects - blocks.sums(integrated_gradients(subject))).max() < 1e-5
    found = refined(subject, blocks, 8, effects, share=1.0, most=64)
    assert found.sum() == pytest.approx(effects.sum(), abs=2e-3)  # soft borders of finer parts
    assert np.abs(blocks.spread(effects).sum() - effects.sum()) < 1e-6


def test_lime_explains_a_linear_network(subject):
    found = lime(subject, superpixels=20, samples=200)
    assert found.r2 > 0.97
    labels = segments(subject.window[0], 20)
    truth = np.bincount(labels.ravel(), integrated_gradients(subject)[0].ravel())
    told = np.bincount(labels.ravel(), found.map[0].ravel())
    assert np.corrcoef(truth, told)[0, 1] > 0.98
    assert np.array_equal(lime(subject, 20, 40, seed=3).map, lime(subject, 20, 40, seed=3).map)


def test_occlusion_is_strongest_on_the_region_and_nothing_far_away(subject):
    found = np.abs(occlusion(subject)[0])
    assert found[subject.region.rows, subject.region.columns].mean() > 3 * found.mean()
    assert found[:10, 84:].max() < 1e-9
