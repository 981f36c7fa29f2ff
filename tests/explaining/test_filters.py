"""A network of which one filter does all: that one is found, and masking it takes the gain away."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from unblur.explaining.filters import Example, filters_that_deblur


class OneWorks(nn.Module):
    """200 filters see the picture; the answer adds only what number 37 has found."""

    task = "image"

    def __init__(self):
        super().__init__()
        self.ending = nn.Conv2d(200, 3, 1, bias=False)  # named first, runs last
        self.first = nn.Conv2d(3, 200, 3, padding=1, bias=False, padding_mode="reflect")
        self.first.weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
        self.first.weight.data[37] = -1 / 3
        self.first.weight.data[37, :, 1, 1] = 8 / 3
        self.ending.weight.data.zero_()
        self.ending.weight.data[:, 37] = 0.12

    def forward(self, x):
        return x + self.ending(self.first(x))


def test_the_filter_that_works_is_found(make_photo):
    def pair(seed):
        truth = cv2.GaussianBlur(make_photo(64, 64, seed=seed), (0, 0), 1.2).astype(np.float32) / 255
        truth = np.repeat(truth.mean(axis=2, keepdims=True), 3, axis=2)
        planes = (cv2.GaussianBlur(truth, (0, 0), 1.0), truth)
        return Example(*(torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)))[None] for p in planes))

    pairs = [pair(seed) for seed in range(4)]
    found = filters_that_deblur(OneWorks().requires_grad_(False), pairs[:2], pairs[2:], [])
    assert (found.filters, found.masked, found.where) == (200, 2, "first")
    assert found.gain > 1
    assert found.gain_without == pytest.approx(0, abs=0.01)
    assert found.gain_without_random == pytest.approx(found.gain, abs=0.01)
