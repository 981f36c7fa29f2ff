import cv2
import numpy as np
import pytest
import torch

from unblur.networks.alignment import aligned


def scene(rng, size=128):
    """Coloured blobs from coarse to fine, (H, W, 3) in [0, 1]."""
    layers = [cv2.GaussianBlur(rng.standard_normal((size, size, 3)), (0, 0), s) * s for s in (2, 4, 8, 16)]
    return cv2.normalize(sum(layers), None, 0, 1, cv2.NORM_MINMAX).astype(np.float32)


def seen_from(image, shift, degrees=0.0):
    """The scene shifted and turned, as another shot sees it."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turn[:, 2] += shift
    return cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def as_batch(image):
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def error(one, two):
    return float((one - two)[..., 12:-12, 12:-12].square().mean())


@pytest.mark.parametrize(("shift", "degrees"), [((2.5, -1.3), 0), ((-5, 4), 0), ((0.4, 0.6), 0.5), ((-3, 3), -1)])
def test_shots_that_are_shifted_and_turned_come_back(shift, degrees):
    image = scene(np.random.default_rng(0))
    reference, shot = as_batch(image), as_batch(seen_from(image, shift, degrees))
    assert error(aligned(shot, reference), reference) < 0.05 * error(shot, reference)


def test_shots_of_another_blur_and_with_noise_come_back_too():
    rng = np.random.default_rng(1)
    image = scene(rng)
    noise = [0.02 * rng.standard_normal(image.shape).astype(np.float32) for _ in range(2)]
    streak = np.eye(7, dtype=np.float32) / 7
    reference = cv2.filter2D(image, -1, streak, borderType=cv2.BORDER_REFLECT) + noise[0]
    shot = cv2.filter2D(seen_from(image, (3, -2)), -1, streak[::-1], borderType=cv2.BORDER_REFLECT) + noise[1]
    truth = as_batch(cv2.filter2D(image, -1, streak[::-1], borderType=cv2.BORDER_REFLECT) + noise[1])
    found = aligned(as_batch(shot), as_batch(reference))
    assert error(found, truth) < error(as_batch(shot), truth) / 3


def test_the_reference_stays_where_it_is():
    image = torch.rand(2, 3, 24, 40)
    torch.testing.assert_close(aligned(image, image), image, rtol=0, atol=1e-4)


def test_what_shows_nothing_stays_where_it_is():
    shot = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(aligned(shot, torch.full_like(shot, 0.5)), shot, rtol=0, atol=1e-4)
