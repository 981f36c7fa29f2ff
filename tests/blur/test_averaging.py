import numpy as np
import pytest

from unblur.blur.averaging import Averaging, light_of_values, values_of_light
from unblur.blur.frame_averaging import FrameAveraging
from unblur.blur.light import to_linear, to_srgb
from unblur.blur.object_motion import ObjectMotion
from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.errors import UnblurError


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_the_values_are_those_of_the_file_to_the_power(gamma):
    codes = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    values = values_of_light(to_linear(codes), {"average_gamma": gamma})
    np.testing.assert_allclose(values, codes**gamma, atol=2e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.2])
def test_light_comes_back_also_above_white(gamma):
    light = np.geomspace(1e-5, 16, 300, dtype=np.float32)
    numbers = {"average_gamma": gamma}
    np.testing.assert_allclose(light_of_values(values_of_light(light, numbers), numbers), light, rtol=2e-4, atol=1e-7)


def test_light_itself_is_left_alone():
    light = np.random.default_rng(0).random((4, 5, 3), np.float32)
    assert values_of_light(light, {}) is light
    assert light_of_values(light, {}) is light


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_a_moving_edge_looks_as_in_the_average_of_its_frames(gamma):
    """What the recipe makes of one picture is what averaging the frames of the same motion makes."""
    frames = []
    for place in range(20, 27):
        frame = np.zeros((40, 48, 3), np.uint8)
        frame[:, place:] = 255
        frames.append(frame)
    averaged, _ = FrameAveraging(7, gamma)(frames)

    class Sideways(CameraShake):
        def apply(self, linear, parameters):
            return sum(np.roll(linear, shift, axis=1) for shift in range(-3, 4)) / np.float32(7)

    recipe = BlurRecipe({"pan": Sideways(7, 7)}, {"pan": 1}, averaging=Averaging([gamma]))
    blur, _ = recipe.apply(frames[3], recipe.draw(np.random.default_rng(0)))
    assert np.abs(blur[:, 10:40].astype(int) - averaged[:, 10:40]).max() <= 1


def test_all_gammas_are_drawn_and_light_has_no_number():
    averaging = Averaging([1.0, 2.2, "srgb"])
    drawn = [averaging.draw(np.random.default_rng(seed)).get("average_gamma") for seed in range(60)]
    assert set(drawn) == {1.0, 2.2, None}


def test_a_constant_image_stays_constant_to_the_byte():
    recipe = BlurRecipe({"car": ObjectMotion(4, 9)}, {"car": 1}, averaging=Averaging([1.0]))
    grey = np.full((40, 50, 3), 77, np.uint8)
    for seed in range(5):
        np.testing.assert_array_equal(recipe.apply(grey, recipe.draw(np.random.default_rng(seed)))[0], grey)


def test_the_sum_in_sRGB_is_darker_beside_bright_edges():
    edge = np.zeros((40, 40, 3), np.float32)
    edge[:, 20:] = 1
    shake = {"shake": CameraShake(8, 8)}
    means = []
    for gamma in ("srgb", 1.0):
        recipe = BlurRecipe(shake, {"shake": 1}, averaging=Averaging([gamma]))
        drawn = recipe.draw(np.random.default_rng(3))
        means.append(recipe.apply(edge, drawn)[0][10:30, 10:30].mean())
    assert means[0] > means[1] + 0.01
    assert means[1] == pytest.approx(to_srgb(to_linear(edge))[10:30, 10:30].mean(), abs=0.03)


@pytest.mark.parametrize("gammas", [[], [0], [-1.0], ["linear"]])
def test_gammas_that_are_none_are_refused(gammas):
    with pytest.raises(UnblurError, match="averaging: got gammas"):
        Averaging(gammas)
