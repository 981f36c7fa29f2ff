import numpy as np
import pytest

from unblur.blur.origin import Origin, worn
from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.errors import UnblurError

STILL = BlurRecipe({"still": CameraShake(0, 0)}, {"still": 1}, origin=Origin(1.0, 0.8, 50, 70))


def test_blur_and_truth_inherit_what_the_photograph_went_through(make_photo):
    photo = make_photo(64, 80)
    blur, sharp = STILL.apply(photo, STILL.draw(np.random.default_rng(1)))
    np.testing.assert_array_equal(blur, sharp)
    assert np.abs(sharp.astype(int) - photo).mean() > 1


def test_the_share_of_photographs_is_kept_and_the_rest_keep_every_byte(make_photo):
    photo = make_photo(32, 32)
    some = Origin(share=0.3)
    drawn = [some.draw(np.random.default_rng(seed)) for seed in range(1000)]
    assert 0.25 < sum(bool(numbers) for numbers in drawn) / 1000 < 0.35
    assert worn(photo, {}) is photo


def test_softness_and_compression_take_away_more_the_more_there_is_of_them(make_photo):
    photo = make_photo(96, 96)

    def loss(softness, quality):
        return np.square(worn(photo, {"origin_softness": softness, "origin_quality": quality}).astype(float) - photo)

    assert loss(0, 95).mean() < loss(0.8, 95).mean()
    assert loss(0, 95).mean() < loss(0, 40).mean()


def test_bytes_in_bytes_out_and_float_in_float_out(make_photo):
    photo = make_photo(40, 48)
    numbers = {"origin_softness": 0.5, "origin_quality": 80}
    exact = worn(photo.astype(np.float32) / 255, numbers)
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact * 255, worn(photo, numbers), atol=1e-4)


@pytest.mark.parametrize("wrong", [{"share": 2}, {"max_softness": -1}, {"min_quality": 0}, {"max_quality": 101}])
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UnblurError, match="origin, "):
        Origin(**wrong)


def test_validation_and_test_pairs_keep_the_photograph_as_truth(make_photo):
    photo = make_photo(40, 48)
    for seed, stratum in enumerate(STILL.strata(5)):
        drawn = STILL.draw(np.random.default_rng(seed), stratum=stratum)
        np.testing.assert_array_equal(STILL.apply(photo, drawn)[1], photo)
