"""Shifts are known exactly: the pictures are sums of waves, read at moved places."""

import numpy as np
import pytest
import torch

from unblur.errors import UnblurError
from unblur.metrics.aligned import BORDER, psnr_aligned, shifted
from unblur.metrics.psnr import psnr

INNER = (slice(None), slice(None), slice(BORDER, -BORDER), slice(BORDER, -BORDER))


def waves(dy=0.0, dx=0.0, height=96, width=120, seed=0):
    """(1, 3, H, W) in [0, 1], never clipped: waves of at least 2.5 pixels, moved by (dy, dx)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.zeros((3, height, width))
    for _ in range(24):
        angle, frequency, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0.01, 0.4), rng.uniform(0, 2 * np.pi, 3)
        along = (y - dy) * np.sin(angle) + (x - dx) * np.cos(angle)
        image += np.cos(2 * np.pi * frequency * along + phase[:, None, None])
    return torch.from_numpy(np.clip(0.5 + 0.02 * image, 0, 1).astype(np.float32))[None]


def noisy(image, sigma, seed=1):
    return (image + sigma * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


@pytest.mark.parametrize("shift", [(0.5, 0.5), (-0.3, 0.8), (2.4, -1.6), (3.2, 0.1), (0, -3)])
def test_a_shifted_picture_scores_like_the_one_that_was_not(shift):
    still = float(psnr_aligned(noisy(waves(), 0.05), waves()))
    moved = float(psnr_aligned(noisy(waves(*shift), 0.05), waves()))
    assert moved == pytest.approx(still, abs=0.03)
    assert float(psnr(waves(*shift), waves())) < 28  # without the search


@pytest.mark.parametrize("shift", [(0.5, -0.5), (1.25, 0.3)])
def test_without_noise_the_shift_is_found_to_a_hundredth_of_a_pixel(shift):
    assert float(psnr_aligned(waves(*shift), waves())) > 50


def test_a_known_shift_is_undone():
    read = shifted(waves()[0], (0.4, -1.7))
    torch.testing.assert_close(read, waves(-0.4, 1.7)[INNER][0], atol=2e-3, rtol=0)
    torch.testing.assert_close(shifted(waves()[0], (2, -3)), waves()[0, :, 18:-14, 13:-19], atol=0, rtol=0)


def test_identical_pictures_have_the_highest_figure():
    assert float(psnr_aligned(waves(), waves())) == 100
    assert float(psnr_aligned(torch.ones(1, 3, 40, 40), torch.ones(1, 3, 40, 40))) == 100


def test_noise_counts_as_noise():
    truth = 0.2 + 0.6 * waves()
    assert float(psnr_aligned(noisy(truth, 0.02), truth)) == pytest.approx(-20 * np.log10(0.02), abs=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_never_below_the_plain_figure_of_the_same_region(seed):
    truth = torch.rand(1, 3, 50, 60, generator=torch.Generator().manual_seed(seed))
    restored = [noisy(truth, 0.3), torch.full_like(truth, 0.5), truth.roll(5, 3), waves(seed=seed)[..., :50, :60]][
        seed % 4
    ]
    assert float(psnr_aligned(restored, truth)) >= float(psnr(restored[INNER], truth[INNER])) - 1e-6


def test_the_border_does_not_count_and_intensity_is_not_matched():
    broken = waves()
    broken[..., :BORDER, :] = 0
    broken[..., -BORDER:] = 1
    assert float(psnr_aligned(broken, waves())) == 100
    brighter = 0.2 + 0.6 * waves()
    assert float(psnr_aligned(brighter + 0.1, brighter)) == pytest.approx(20, abs=0.01)


def test_every_picture_of_a_batch_has_its_own_shift():
    restored = torch.cat([waves(0.5, 0), noisy(waves(-2, 1.3), 0.1), waves()])
    truth = waves().expand(3, -1, -1, -1)
    alone = [float(psnr_aligned(one[None], waves())) for one in restored]
    assert psnr_aligned(restored, truth).tolist() == alone


def test_a_picture_that_is_all_border_is_refused():
    with pytest.raises(UnblurError, match="got 40 x 32, expected more than 32"):
        psnr_aligned(torch.zeros(1, 3, 32, 40), torch.zeros(1, 3, 32, 40))
