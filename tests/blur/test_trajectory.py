import numpy as np
import pytest

from unblur.blur.psf import extent
from unblur.blur.trajectory import STEPS, CameraShake, trajectory
from unblur.errors import UnblurError


def path(seed=0, jitter=0.0, pull=0.0, jolts=0.0):
    return trajectory(np.random.default_rng(seed), jitter, pull, jolts)


def turns(places):
    velocity = np.diff(places)
    return np.angle(velocity[1:] / velocity[:-1])


def test_undisturbed_it_is_a_straight_line_of_length_one():
    places = path()
    assert places[0] == 0
    assert len(places) == STEPS + 1
    np.testing.assert_allclose(places, np.linspace(0, places[-1], STEPS + 1), atol=1e-12)
    assert abs(places[-1]) == pytest.approx(1)


@pytest.mark.parametrize("numbers", [(2.2, 0, 0), (0, 10, 0), (2.2, 10, 3)])
def test_the_speed_is_constant(numbers):
    np.testing.assert_allclose(np.abs(np.diff(path(1, *numbers))), 1 / STEPS, rtol=1e-9)


def test_jitter_turns_the_direction_by_its_standard_deviation():
    # A push of standard deviation s across a velocity of length 1 turns it by s; over the exposure they add up.
    whole = [turns(path(seed, jitter=0.5)).sum() for seed in range(400)]
    assert np.std(whole) == pytest.approx(0.5, rel=0.12)
    assert np.mean(whole) == pytest.approx(0, abs=0.1)


def test_pull_keeps_the_path_near_its_beginning():
    reach = {pull: np.mean([np.abs(path(seed, 1.0, pull)).max() for seed in range(60)]) for pull in (0, 5, 10)}
    assert reach[0] > 1.5 * reach[5] > 2 * reach[10]


def test_jolts_come_at_their_rate_and_throw_back():
    thrown = [np.abs(turns(path(seed, jolts=2.0))) for seed in range(400)]
    assert np.mean([(turn > 2).sum() for turn in thrown]) == pytest.approx(2.0, rel=0.15)
    # v - 2 v e^(i a) with |a| <= 1/2 turns the velocity by pi - 1.03 at the most.
    strong = np.concatenate(thrown)[np.concatenate(thrown) > 0.1]
    assert strong.min() > np.pi - 1.04


def test_the_psf_is_as_large_as_asked_and_has_no_holes():
    shake = CameraShake(0, 60)
    for seed in range(10):
        parameters = shake.draw(np.random.default_rng(seed), 1.0)
        psf = shake.psf(parameters)
        assert 59 <= extent(psf) <= 62
        line = (psf > 0).astype(np.uint8)
        y, x = np.nonzero(line)
        # Every lit pixel has a lit neighbour: the path is a line, not a row of dots.
        padded = np.pad(line, 1)
        around = sum(np.roll(padded, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
        assert (around[y + 1, x + 1] >= 2).all()


def test_no_extent_is_the_identity(make_photo):
    linear = make_photo(30, 40).astype(np.float32) / 255
    shake = CameraShake(0, 0)
    parameters = shake.draw(np.random.default_rng(0), 1.0)
    np.testing.assert_array_equal(shake.apply(linear, parameters), linear)
    assert shake.strength(parameters) == 0


def test_shakes_differ():
    shake = CameraShake(4, 20)
    drawn = {shake.psf(shake.draw(np.random.default_rng(seed), 0.5)).tobytes() for seed in range(30)}
    assert len(drawn) == 30


def test_a_wrong_range_is_refused():
    with pytest.raises(UnblurError, match="camera shake, extent in pixels: got the range 9 to 4"):
        CameraShake(9, 4)
