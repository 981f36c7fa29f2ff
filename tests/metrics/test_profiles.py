import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from unblur.errors import UnblurError
from unblur.metrics.profiles import PROFILES, get_profile


def uint8_pair(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 256, (1, 3, 16, 20), dtype=np.uint8)
    restored = np.clip(truth / 255 + rng.normal(0, 0.002, truth.shape), 0, 1)
    return restored.astype(np.float32), truth


def test_the_names_are_the_documented_ones():
    assert list(PROFILES) == ["psnr/literature", "psnr/float", "ssim/matlab3d", "ssim/per-channel", "psnr/aligned"]


def test_literature_psnr_is_that_of_the_saved_file_and_float_is_not():
    restored, truth = uint8_pair()
    saved = (restored * 255).round().astype(np.uint8)
    literature = peak_signal_noise_ratio(truth, saved, data_range=255)
    unrounded = peak_signal_noise_ratio(truth / 255, restored.astype(np.float64), data_range=1)
    images = torch.from_numpy(restored), torch.from_numpy(truth / np.float32(255))
    assert float(get_profile("psnr/literature").compute(*images)) == pytest.approx(literature, abs=1e-4)
    assert float(get_profile("psnr/float").compute(*images)) == pytest.approx(unrounded, abs=1e-4)
    assert abs(literature - unrounded) > 0.01


@pytest.mark.parametrize("name", ["ssim/matlab3d", "ssim/per-channel"])
def test_ssim_is_that_of_the_saved_file(name):
    restored, truth = uint8_pair()
    truth = torch.from_numpy(truth / np.float32(255))
    saved = torch.from_numpy((restored * 255).round() / 255)
    compute = get_profile(name).compute
    assert float(compute(torch.from_numpy(restored), truth)) == pytest.approx(float(compute(saved, truth)), abs=1e-7)


@pytest.mark.parametrize("name", PROFILES)
def test_a_batch_gives_one_figure_an_image_and_noise_lowers_it(name):
    truth = torch.rand(2, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    restored = truth + noise * torch.tensor([0.02, 0.2]).view(2, 1, 1, 1)
    figures = get_profile(name).compute(restored, truth)
    assert figures.shape == (2,)
    assert figures[0] > figures[1]


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnblurError, match="did you mean 'psnr/literature'"):
        get_profile("psnr/litterature")
