import numpy as np
import pytest


@pytest.mark.parametrize("axis", [0, 1])
def test_a_known_step_is_found_where_it_is(axis, seams):
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 1, (200, 200, 3))
    np.moveaxis(difference, axis, 0)[100:] += 3.0  # a step of 3 between lines 99 and 100
    seam, elsewhere = seams.seam_jump(difference, [(100, 100)], axis)
    assert seam == pytest.approx(3, abs=0.3)
    assert elsewhere < 0.3  # texture averages out
    missed, found_elsewhere = seams.seam_jump(difference, [(50, 60)], axis)
    assert missed < 0.3
    assert found_elsewhere < 0.3  # one line is within the last percent


def test_feathered_zones_are_a_quarter_of_the_overlap(seams):
    zones = seams.feathered(1000, 512, 64)
    assert len(zones) == 2
    assert [last - first for first, last in zones] == [16, 16]
    assert seams.feathered(512, 512, 64) == []
