import dataclasses
import itertools
import json
from collections import Counter

import numpy as np
import pytest

from unblur.blur.camera import expose
from unblur.blur.light import to_linear, to_srgb
from unblur.blur.optics import Defocus
from unblur.blur.recipe import BlurRecipe, Drawn, SeverityRamp, Stratum
from unblur.blur.sensor import SensorNoise
from unblur.blur.trajectory import CameraShake
from unblur.errors import UnblurError

RECIPE = BlurRecipe(
    operators={"identity": CameraShake(0, 1), "shake": CameraShake(4, 20), "defocus": Defocus(0.8, 4, [0, 6])},
    weights={"identity": 12, "shake": 60, "defocus": 28},
    sensor=SensorNoise(0.002, 0.012),
)


def draw_many(count, **options):
    return [RECIPE.draw(np.random.default_rng(seed), **options) for seed in range(count)]


def test_kinds_come_by_weight_and_strengths_fill_their_range():
    drawn = draw_many(3000)
    counts = Counter(one.kind for one in drawn)
    for kind, share in (("identity", 0.12), ("shake", 0.60), ("defocus", 0.28)):
        # Four standard errors of a share over 3000 draws.
        assert counts[kind] / 3000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 3000))
    strengths = [one.strength for one in drawn if one.kind == "shake"]
    assert np.histogram(strengths, bins=4, range=(4, 20))[0] / len(strengths) == pytest.approx([0.25] * 4, abs=0.04)
    assert max(strengths) <= 20


def test_severity_lowers_the_strongest_blur():
    assert max(one.strength for one in draw_many(300, severity=0.25) if one.kind == "shake") == pytest.approx(
        8, abs=0.2
    )
    assert {one.strength for one in draw_many(60, severity=0.0) if one.kind == "defocus"} == {1.6}


def test_the_ramp_grows_to_one_and_stays():
    ramp = SeverityRamp(start=0.4, samples=100)
    assert [ramp(index) for index in (0, 50, 100, 5000)] == pytest.approx([0.4, 0.7, 1, 1])


@pytest.mark.parametrize(("count", "shares"), [(8, (1, 5, 2)), (4, (1, 2, 1)), (1, (0, 1, 0)), (100, (12, 60, 28))])
def test_strata_share_out_the_kinds_and_cover_every_strength_once(count, shares):
    strata = RECIPE.strata(count)
    assert len(strata) == count
    for kind, of in zip(RECIPE.operators, shares, strict=True):
        mine = [stratum for stratum in strata if stratum.kind == kind]
        assert [(s.low, s.high) for s in mine] == [(i / of, (i + 1) / of) for i in range(of)]


def test_a_stratum_fixes_kind_and_part_of_the_range():
    for seed in range(50):
        drawn = RECIPE.draw(np.random.default_rng(seed), stratum=Stratum("shake", 0.5, 0.75))
        assert drawn.kind == "shake"
        assert 12 <= drawn.strength <= 16


@pytest.mark.property
def test_the_same_draw_gives_the_same_bytes_and_survives_json(make_photo):
    photo = make_photo(50, 60)
    for drawn in draw_many(20):
        stored = Drawn(drawn.kind, drawn.strength, json.loads(json.dumps(drawn.parameters)))
        assert stored == drawn
        assert RECIPE.apply(photo, stored)[0].tobytes() == RECIPE.apply(photo.copy(), drawn)[0].tobytes()


@pytest.mark.property
def test_bytes_in_bytes_out_and_float_in_float_out(make_photo):
    photo = make_photo(50, 60)
    for drawn in draw_many(10):
        blur, sharp = RECIPE.apply(photo, drawn)
        exact, truth = RECIPE.apply(photo.astype(np.float32) / 255, drawn)
        assert blur.dtype == sharp.dtype == np.uint8
        assert exact.dtype == truth.dtype == np.float32
        np.testing.assert_array_equal(sharp, photo)
        assert np.abs(blur / 255 - exact).max() < 0.51 / 255 + 1e-4


@pytest.mark.property
def test_a_margin_leaves_no_trace_of_the_border(make_photo):
    quiet = BlurRecipe(RECIPE.operators, RECIPE.weights)
    photo = make_photo(140, 150)
    for seed in range(20):
        drawn = quiet.draw(np.random.default_rng(seed))
        m = quiet.margin(drawn)
        whole, _ = quiet.apply(photo, drawn)
        blur, sharp = quiet.apply(photo[40 - m : 90 + m, 50 - m : 100 + m], drawn, margin=m)
        np.testing.assert_array_equal(sharp, photo[40:90, 50:100])
        assert np.abs(blur.astype(int) - whole[40:90, 50:100]).max() <= 1  # rounding to bytes
        assert (blur != whole[40:90, 50:100]).mean() < 0.001


def test_blur_is_made_in_linear_light(make_photo):
    """A sharp edge between black and white: light is averaged, not sRGB values."""
    recipe = BlurRecipe({"defocus": Defocus(4, 4)}, {"defocus": 1})
    edge = np.zeros((40, 40, 3), np.float32)
    edge[:, 20:] = 1
    drawn = recipe.draw(np.random.default_rng(0))
    blur, _ = recipe.apply(edge, drawn)
    expected = to_srgb(recipe.operators["defocus"].apply(to_linear(edge), drawn.parameters))
    np.testing.assert_allclose(blur, expected, atol=1e-6)
    middle = blur[20, 19:21, 0].mean()
    assert middle == pytest.approx(0.735, abs=0.01)  # half the light of white; 0.5 would be the mean of sRGB values


def test_without_a_sensor_a_constant_image_stays_constant():
    recipe = BlurRecipe(RECIPE.operators, RECIPE.weights)
    constant = np.full((40, 40, 3), 93, np.uint8)
    for seed in range(20):
        blur, _ = recipe.apply(constant, recipe.draw(np.random.default_rng(seed)))
        np.testing.assert_array_equal(blur, constant)


def test_nearly_sharp_is_nearly_sharp(make_photo):
    photo = make_photo(96, 96)
    for seed in range(10):
        blur, sharp = RECIPE.apply(photo, RECIPE.draw(np.random.default_rng(seed), stratum=Stratum("identity")))
        error = np.mean((blur.astype(float) - sharp) ** 2)
        assert 10 * np.log10(255**2 / error) > 26


@pytest.mark.contract
def test_every_configured_recipe_draws_all_its_kinds(configured_recipe, make_photo):
    photo = make_photo(40, 40)
    kinds = {configured_recipe.draw(np.random.default_rng(seed)).kind for seed in range(300)}
    assert kinds == set(configured_recipe.operators)
    for stratum in configured_recipe.strata(8):
        blur, sharp = configured_recipe.apply(photo, configured_recipe.draw(np.random.default_rng(0), stratum=stratum))
        assert blur.shape == sharp.shape == photo.shape
        assert not np.array_equal(blur, sharp)


def test_an_unknown_kind_is_told_with_those_that_exist(make_photo):
    with pytest.raises(UnblurError, match="'coma' is not in the recipe; it has: identity, shake, defocus"):
        RECIPE.apply(make_photo(20, 20), Drawn("coma", 1.0, {}))


@pytest.mark.parametrize(
    "weights", [{"shake": 1}, {"identity": 0, "shake": 0, "defocus": 0}, {"identity": 1, "shake": -1, "defocus": 1}]
)
def test_weights_that_make_no_sense_are_refused(weights):
    with pytest.raises(UnblurError, match="blur recipe"):
        BlurRecipe(RECIPE.operators, weights)
    with pytest.raises(UnblurError, match="shares"):
        BlurRecipe(RECIPE.operators, RECIPE.weights, shares=weights)


def test_shares_are_those_of_pairs_and_weights_those_of_training():
    recipe = BlurRecipe(
        RECIPE.operators,
        {"identity": 1, "shake": 0, "defocus": 0},
        shares={"identity": 1, "shake": 5, "defocus": 2},
    )
    kinds = [stratum.kind for stratum in recipe.strata(8)]
    assert {kind: kinds.count(kind) for kind in RECIPE.operators} == {"identity": 1, "shake": 5, "defocus": 2}
    assert {recipe.draw(np.random.default_rng(seed)).kind for seed in range(50)} == {"identity"}


@pytest.mark.property
def test_every_configured_recipe_without_motion_and_sensor_keeps_every_byte(configured_recipe):
    """Also where blur is made in other values than light: all 256 codes come back."""
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    bare = dataclasses.replace(configured_recipe, sensor=None, exposure=None, highlights=None, origin=None)
    for seed, kind in itertools.product(range(4), bare.operators):
        drawn = bare.draw(np.random.default_rng(seed), stratum=Stratum(kind))
        still = drawn.parameters | dict.fromkeys({"extent", "radius"} & set(drawn.parameters), 0.0)
        if kind == "object_motion":
            still["radius"] = drawn.parameters["radius"]  # of the object
        blur, sharp = bare.apply(codes, Drawn(kind, 0.0, still))
        np.testing.assert_array_equal(blur, codes)
        np.testing.assert_array_equal(sharp, codes)


@pytest.mark.property
def test_the_noise_of_every_configured_recipe_follows_its_model(configured_recipe):
    """Shot noise in the sensor's own colours, read noise everywhere; at the places that the mosaic measures."""
    drawn = [configured_recipe.draw(np.random.default_rng(seed)).parameters for seed in range(60)]
    for numbers in [each for each in drawn if "noise_shot" in each][:6]:
        gains = np.array([numbers.get("wb_red", 1), 1, numbers.get("wb_blue", 1)])
        for light in (0.05, 0.5):
            seen = expose(np.full((256, 256, 3), light, np.float32), numbers)
            noise = (seen[::2, ::2, 0], seen[::2, 1::2, 1], seen[1::2, 1::2, 2])
            expected = numbers["noise_shot"] * light * gains + (numbers["noise_read"] * gains) ** 2
            np.testing.assert_allclose([plane.var() for plane in noise], expected, rtol=0.06)
            np.testing.assert_allclose([plane.mean() for plane in noise], light, atol=4 * np.sqrt(expected.max()) / 128)


@pytest.mark.contract
def test_every_configured_recipe_trains_on_what_is_nearly_sharp(configured_recipe):
    """Or a network learns to damage sharp photographs."""
    strengths = [configured_recipe.draw(np.random.default_rng(seed)).strength for seed in range(400)]
    assert sum(strength <= 1.6 for strength in strengths) > 0.2 * 400
    assert configured_recipe.strata(8)[0].kind == "identity"


def test_a_share_of_the_pairs_goes_through_the_sensor():
    def sensed(share):
        recipe = dataclasses.replace(RECIPE, sensor_share=share)
        return [
            any("noise" in key for key in recipe.draw(np.random.default_rng(seed)).parameters) for seed in range(200)
        ]

    assert not any(sensed(0.0))
    assert all(sensed(1.0))
    assert 0.15 < np.mean(sensed(0.25)) < 0.35
    with pytest.raises(UnblurError, match=r"sensor_share 1\.5; expected a number from 0 to 1"):
        dataclasses.replace(RECIPE, sensor_share=1.5)
