"""Subjects with known answers: a network that is one linear filter, whose attributions can be written down."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from unblur.explaining.region import Region
from unblur.explaining.subject import restorer_of, subject_of


class Sharpen(nn.Module):
    """x + filter(x - mean around): linear, and a pixel depends on 5 x 5 pixels."""

    task = "image"

    def __init__(self):
        super().__init__()
        self.filter = nn.Conv2d(3, 3, 5, padding=2, bias=False)
        weight = torch.zeros(3, 3, 5, 5)
        for channel in range(3):
            weight[channel, channel] = -1 / 25
            weight[channel, channel, 2, 2] += 1
        self.filter.weight.data = weight

    def forward(self, x):
        return x + self.filter(x)


@pytest.fixture
def network():
    return Sharpen().requires_grad_(False)


@pytest.fixture
def window(make_photo):
    """(1, 3, 96, 96): a photograph, a little blurred."""
    photo = cv2.GaussianBlur(make_photo(96, 96), (0, 0), 1.0).astype(np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(photo.transpose(2, 0, 1)))[None]


@pytest.fixture
def subject(network, window):
    return subject_of(restorer_of(network, 1, 0), network, window, Region(32, 40, 24))
