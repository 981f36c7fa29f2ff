from functools import partial

import cv2
import numpy as np
import pytest
from skimage.filters import unsharp_mask

from unblur.blur.light import to_linear, to_srgb
from unblur.errors import UnblurError
from unblur.evaluation.baselines import (
    BASELINES,
    gaussian_psf,
    get_baselines,
    richardson_lucy_guessed,
    unsharp,
    wiener_guessed,
)


def as_batch(photo):
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32) / 255


def psnr(a, b):
    return -10 * np.log10(((a - b) ** 2).mean())


@pytest.mark.parametrize(
    "method",
    [partial(richardson_lucy_guessed, sigma=1.5, iterations=5), partial(wiener_guessed, sigma=1.5, balance=0.1)],
)
def test_undoes_the_blur_that_it_guesses(make_photo, method):
    sharp = as_batch(cv2.GaussianBlur(make_photo(96, 120), (0, 0), 0.7))
    light = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in to_linear(sharp)[0]])[None]
    blurred = to_srgb(light)
    assert psnr(method(blurred), sharp) > psnr(blurred, sharp) + 1.0


@pytest.mark.parametrize("method", ["richardson_lucy", "wiener", "unsharp"])
def test_damages_what_is_sharp(make_photo, method):
    """Why they lose on nearly sharp pairs: the guessed blur was never there."""
    sharp = as_batch(make_photo(96, 120))
    assert psnr(BASELINES[method](sharp), sharp) < 45


@pytest.mark.parametrize("method", BASELINES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (33, 20)])
def test_an_even_image_stays_as_it_is(method, size):
    colour = np.array([0.2, 0.5, 0.9], np.float32)[None, :, None, None]
    image = np.broadcast_to(colour, (2, 3, *size)).copy()
    restored = BASELINES[method](image)
    assert restored.shape == image.shape
    assert restored.dtype == np.float32
    assert np.abs(restored - image).max() < 1e-3


@pytest.mark.parametrize("method", BASELINES)
def test_images_and_channels_do_not_mix(make_photo, method):
    batch = np.concatenate([as_batch(make_photo(40, 52, seed=seed)) for seed in (1, 2)])
    whole = BASELINES[method](batch)
    assert whole.min() >= 0
    assert whole.max() <= 1
    assert np.abs(BASELINES[method](batch[1:])[0] - whole[1]).max() < 1e-6
    grey = np.repeat(batch[:, 1:2], 3, axis=1)
    assert np.abs(BASELINES[method](grey)[:, 0] - whole[:, 1]).max() < 1e-6


def test_unsharp_is_scikit_images_on_each_channel(make_photo):
    batch = as_batch(make_photo(40, 52))
    golden = np.stack([unsharp_mask(plane, radius=2.0, amount=0.7) for plane in batch[0]])
    assert np.abs(unsharp(batch, radius=2.0, amount=0.7)[0] - golden).max() < 1e-6


def test_guessed_psf_has_its_width_and_energy():
    psf = gaussian_psf(1.5).astype(float)
    offset = np.arange(psf.shape[0]) - psf.shape[0] // 2
    assert psf.sum() == pytest.approx(1, abs=1e-6)
    assert np.sqrt((psf.sum(axis=0) * offset**2).sum()) == pytest.approx(1.5, rel=0.02)


def test_the_blurred_input_is_always_first():
    assert list(get_baselines(["wiener", "blurred", "unsharp"])) == ["blurred", "wiener", "unsharp"]
    assert list(get_baselines([])) == ["blurred"]


def test_an_unknown_baseline_names_the_nearest():
    with pytest.raises(UnblurError, match="no baseline 'weiner'; did you mean 'wiener'"):
        get_baselines(["weiner"])
