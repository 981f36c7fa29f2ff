"""What does not depend on how the picture lies has no spread; detail that is added is found."""

import numpy as np
import torch

from unblur.explaining.doubt import invented, turned


def test_an_answer_that_turns_with_the_picture_has_no_spread(window):
    mean, spread = turned(lambda x: x[:, 0] * 0.9, window)
    assert spread.max() < 1e-6
    assert np.allclose(mean, window[0].permute(1, 2, 0).numpy() * 0.9, atol=1e-6)


def test_an_answer_that_depends_on_the_direction_has_one(window):
    ramp = torch.linspace(0, 0.1, 96)
    _, spread = turned(lambda x: x[:, 0] + ramp, window)
    assert spread[48, 95] > 0.03  # a side is elsewhere in turned copies
    assert spread[48, 48] < 0.002


def test_invented_detail_is_found_where_it_is(make_photo):
    import cv2

    rng = np.random.default_rng(0)
    before = cv2.GaussianBlur(make_photo(128, 128), (0, 0), 4.0).astype(np.float32) / 255
    before += rng.normal(0, 0.002, before.shape).astype(np.float32)
    assert invented(before, before).max() < 0.05
    after = before.copy()
    pattern = 0.05 * np.sin(np.arange(128) * 2.5)[None, :, None] * np.cos(np.arange(128) * 2.1)[:, None, None]
    after[:, :48] += pattern[:, :48]
    found = invented(before, after)
    assert found[:, :32].mean() > 0.5
    assert found[:, 96:].mean() < 0.05
