"""A server that answers the Open Inference Protocol, and images for it."""

import threading
import time

import numpy as np
import pytest

import unblur
from unblur.library import Model
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings


class Slow:
    """A restorer that takes its time, and counts."""

    name, sha256, task = "slow", "0" * 64, "image"

    def __init__(self):
        self.begun, self.calls = threading.Event(), 0

    def __call__(self, batch):
        self.begun.set()
        self.calls += 1
        time.sleep(0.2)
        return batch


@pytest.fixture
def slow():
    """A restorer that takes its time."""
    return Slow()


@pytest.fixture
def model(box_onnx):
    return unblur.load(box_onnx(), runtime="onnxruntime", threads=1)


@pytest.fixture
def app(model):
    """Version 7 of a model that blurs over 3 x 3; images are taken in one tile."""
    return make_app(Served(Loaded(model, "models:/unblur/7")), Settings(max_bytes=300_000, max_pixels=20_000))


@pytest.fixture
def images(make_photo):
    """Two images: (2, 3, 40, 56) float32 in [0, 1]."""
    photos = np.stack([make_photo(40, 56, seed=seed) for seed in (0, 1)])
    return np.ascontiguousarray(photos.transpose(0, 3, 1, 2), np.float32) / 255


@pytest.fixture
def app_of():
    """`app_of(restorer, **settings)`: the server of some restorer."""
    return lambda restorer, **settings: make_app(Served(Loaded(Model(restorer))), Settings(**settings))
