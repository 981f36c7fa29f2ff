"""Photographs that a model sees at a lower resolution."""

import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.runtimes.reduced import ReducedRestorer
from unblur.runtimes.tiles import restore_tiled


class Brighter:
    """Adds a ramp from left to right; remembers the sizes that it was given."""

    name, sha256, task = "brighter", "0" * 64, "image"

    def __init__(self):
        self.sizes = []

    def __call__(self, batch):
        self.sizes.append(batch.shape[-2:])
        return batch + np.linspace(0, 0.2, batch.shape[-1], dtype=np.float32)


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 96)])
def test_what_is_added_is_enlarged_and_detail_stays(size):
    model = Brighter()
    batch = np.random.default_rng(0).random((2, 3, *size), dtype=np.float32)
    added = ReducedRestorer(model, 4)(batch) - batch
    assert model.sizes == [tuple(-(-side // 4) for side in size)]
    assert added.shape == batch.shape
    assert np.ptp(added, axis=(0, 1, 2)).max() < 1e-6  # no trace of the photograph's own detail
    if size == (64, 96):
        ramp = np.interp(np.arange(96), np.arange(24) * 4 + 1.5, np.linspace(0, 0.2, 24))
        assert abs(added[0, 0, 0] - ramp).max() < 2e-3


def test_tiles_are_as_large_for_the_model():
    model = Brighter()
    image = np.zeros((512, 1024, 3), np.uint8)
    restore_tiled(ReducedRestorer(model, 4), image, tile=128, overlap=32)
    assert max(max(size) for size in model.sizes) <= 128
    assert max(max(size) for size in model.sizes) > 96


def test_it_settles_where_its_model_does():
    model = Brighter()
    assert ReducedRestorer(model, 2).settled().restorer is model  # which knows of no such thing
    model.settled = lambda: other
    other = Brighter()
    found = ReducedRestorer(model, 2).settled()
    assert (found.restorer, found.reduction, found.name) == (other, 2, "brighter")


def test_models_of_videos_are_refused():
    model = Brighter()
    model.task = "video"
    with pytest.raises(UnblurError, match="brighter: restores a video"):
        ReducedRestorer(model, 2)


def test_its_tiles_begin_where_the_model_sees_the_grid_of_the_whole():
    class Halving(Brighter):
        """What it returns repeats every 16 pixels, as with four halvings."""

        def __call__(self, batch):
            rows, columns = (np.arange(side) // 8 % 2 for side in batch.shape[-2:])
            return batch + np.where(rows[:, None] == columns, 0.1, 0).astype(np.float32)

    image = np.full((384, 608, 3), 0.5, np.float32)
    whole, tiled = (restore_tiled(ReducedRestorer(Halving(), 2), image, tile=tile, overlap=48) for tile in (1024, 112))
    np.testing.assert_allclose(tiled, whole, atol=0.002)
