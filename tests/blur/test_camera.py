import numpy as np
import pytest

from unblur.blur.camera import (
    Device,
    IsoNoise,
    Jpeg,
    ToneCurve,
    WhiteBalance,
    compress,
    demosaic,
    expose,
    mosaic,
    tone_srgb8,
    undo_tone,
)
from unblur.blur.exposure import Exposure, Highlights, relight
from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.errors import UnblurError


@pytest.mark.parametrize("light", [0.02, 0.18, 0.6])
def test_the_variance_at_an_iso_is_that_of_its_electrons(light):
    parameters = IsoNoise(800, 800, full_well=16000, read_electrons=4).draw(np.random.default_rng(0))
    noisy = expose(np.full((300, 300, 3), light, np.float32), parameters)
    electrons = 16000 / 8  # that saturate a pixel at ISO 800
    assert noisy.var() == pytest.approx((light * electrons + 4**2) / electrons**2, rel=0.02)
    assert noisy.mean() == pytest.approx(light, abs=5e-4)


def test_iso_is_drawn_log_uniformly():
    drawn = [IsoNoise(100, 1600).draw(np.random.default_rng(seed))["iso"] for seed in range(2000)]
    assert np.median(drawn) == pytest.approx(400, rel=0.1)


def test_without_steps_every_byte_stays(make_photo):
    photo = make_photo(50, 61)
    recipe = BlurRecipe({"still": CameraShake(0, 0)}, {"still": 1}, sensor=Device())
    blur, sharp = recipe.apply(photo, recipe.draw(np.random.default_rng(0)))
    np.testing.assert_array_equal(blur, photo)
    np.testing.assert_array_equal(sharp, photo)


def test_demosaicing_keeps_each_colour_and_negative_noise():
    for colour in ((0.7, 0.3, 0.1), (-0.02, 0.5, 1.0)):
        plane = np.tile(np.array(colour, np.float32), (21, 30, 1))
        np.testing.assert_allclose(demosaic(mosaic(plane)), plane, atol=2e-5)


def test_white_balance_is_undone_and_amplifies_the_noise_of_red():
    grey = np.full((200, 200, 3), 0.4, np.float32)
    parameters = {"wb_red": 2.0, "wb_blue": 1.0}
    np.testing.assert_allclose(expose(grey, parameters), grey, rtol=1e-6)
    noisy = expose(grey, {**parameters, "noise_shot": 1e-3, "noise_read": 0.0, "noise_seed": 1})
    assert noisy[..., 0].var() / noisy[..., 1].var() == pytest.approx(2, rel=0.05)  # half the light, four times


@pytest.mark.parametrize("contrast", [0.0, 0.2, 0.6])
def test_a_tone_curve_is_undone_to_the_byte(contrast):
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(tone_srgb8(undo_tone(codes, contrast), contrast), codes)


def test_jpeg_loses_more_at_lower_quality(make_photo):
    photo = make_photo(64, 80)
    errors = [np.square(compress(photo, q).astype(float) - photo).mean() for q in (30, 70, 98)]
    assert errors[0] > errors[1] > errors[2]


def test_a_highlight_leaves_a_streak_as_bright_as_itself():
    night = np.full((61, 61, 3), 5, np.uint8)
    night[29:32, 29:32] = 255
    shake = {"shake": CameraShake(12, 12)}
    plain = BlurRecipe(shake, {"shake": 1})
    lit = BlurRecipe(shake, {"shake": 1}, highlights=Highlights(0.9, 30, 30))
    without, with_light = (r.apply(night, r.draw(np.random.default_rng(3))) for r in (plain, lit))
    assert (without[0] > 250).sum() == 0
    assert (with_light[0] == 255).all(axis=2).sum() > 9  # the streak is larger than the lamp
    np.testing.assert_array_equal(with_light[1], night)  # the truth is clipped


def test_exposure_darkens_blurred_and_truth_alike(make_photo):
    still = BlurRecipe({"still": CameraShake(0, 0)}, {"still": 1}, exposure=Exposure(-1, -1))
    photo = make_photo(30, 30)
    blur, sharp = still.apply(photo, still.draw(np.random.default_rng(0)))
    np.testing.assert_array_equal(blur, sharp)
    light = np.full((2, 2, 3), 0.5, np.float32)
    np.testing.assert_allclose(relight(light, {"exposure_gain": 0.5}), 0.25)
    assert sharp.mean() < photo.mean()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Jpeg(90, 101),
        lambda: IsoNoise(0, 100),
        lambda: Exposure(1, 0),
        lambda: Highlights(1.0),
        lambda: ToneCurve(0, 1),
        lambda: WhiteBalance(0.5),
    ],
)
def test_ranges_that_make_no_sense_are_refused(build):
    with pytest.raises(UnblurError, match="expected"):
        build()


def test_light_is_saturated_before_the_noise_also_without_a_mosaic():
    """Or the noise of a highlight far above white would be that of its light, not that of a full well."""
    parameters = {"noise_shot": 1e-3, "noise_read": 0.0, "noise_seed": 1}
    seen = expose(np.full((200, 200, 3), 8.0, np.float32), parameters)
    assert seen.mean() == pytest.approx(1, abs=1e-3)
    assert seen.var() == pytest.approx(1e-3, rel=0.05)
