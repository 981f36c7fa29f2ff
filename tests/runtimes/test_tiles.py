from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unblur.errors import UnblurError, UsageError
from unblur.networks.nafnet import NAFNet
from unblur.runtimes.tiles import feather, plan_axis, restore_tiled, thrown_away


def as_restorer(network):
    """Run a network on numpy batches."""

    def restore(batch):
        with torch.inference_mode():
            return network(torch.from_numpy(batch)).numpy()

    return restore


def nafnet(strength=0.05):
    """A small NAFNet with random weights whose correction has a standard deviation of `strength`."""
    torch.manual_seed(3)
    network = NAFNet(width=8, encoder_blocks=[1, 2], middle_blocks=1, decoder_blocks=[1, 1]).eval()
    with torch.inference_mode():
        for name, parameter in network.named_parameters():
            if name.endswith(("beta", "gamma")):
                parameter.copy_(torch.randn_like(parameter) * 0.3)
        torch.nn.init.normal_(network.ending.weight)  # a new one is all zeros
        probe = torch.rand(1, 3, 64, 64)
        scale = strength / (network(probe) - probe).std()
        network.ending.weight *= scale
        network.ending.bias *= scale
    return network


@pytest.mark.property
@settings(deadline=None, max_examples=300)
@given(
    length=st.integers(1, 700),
    tile=st.integers(8, 200),
    overlap=st.integers(0, 100),
    alignment=st.sampled_from([1, 4, 16]),
)
def test_weights_sum_to_one_everywhere_and_borders_are_thrown_away(length, tile, overlap, alignment):
    if 2 * overlap > tile or tile < overlap + 2 * alignment:
        with pytest.raises(UsageError):
            plan_axis(length, tile, overlap, alignment)
        return
    spans = plan_axis(length, tile, overlap, alignment)
    total = np.zeros(length)
    for span in spans:
        assert span.start <= span.keep_start <= span.keep_stop <= span.stop
        assert (span.weights >= 0).all()
        total[span.keep_start : span.keep_stop] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert spans[0].start == 0
    assert spans[-1].stop == length
    assert len({span.stop - span.start for span in spans}) == 1
    assert spans[0].stop - spans[0].start <= tile
    for left, right in pairwise(spans):
        assert right.start % alignment == 0
        assert left.stop - right.start >= overlap
        assert left.stop - left.keep_stop >= thrown_away(overlap)
        assert right.keep_start - right.start >= thrown_away(overlap)
        assert left.keep_stop - right.keep_start <= max(feather(overlap), 0)


@pytest.mark.property
@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    tile=st.integers(48, 96),
    overlap=st.integers(0, 24),
    batch_size=st.integers(1, 3),
)
def test_the_identity_gives_the_image_back_at_every_depth(height, width, tile, overlap, batch_size):
    tile = max(tile, 2 * overlap, overlap + 32)
    rng = np.random.default_rng(0)
    for image in (
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        rng.integers(0, 65536, (height, width, 3), dtype=np.uint16),
    ):
        out = restore_tiled(lambda batch: batch, image, tile, overlap, batch_size=batch_size)
        assert out.dtype == image.dtype
        np.testing.assert_array_equal(out, image)


@pytest.mark.parametrize("size", [(200, 333), (129, 512), (96, 97), (64, 64), (1, 1), (1, 200)])
def test_a_convolutional_network_gives_the_same_on_tiles_as_on_the_whole(size, make_photo):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 5, padding=2), nn.ReLU(), nn.Conv2d(6, 6, 5, padding=2), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(6, 3, 5, padding=2)).eval()  # receptive field: 6 pixels to each side
    image = make_photo(*size)
    assert thrown_away(16) == 6
    exact = image.astype(np.float32) / 255
    whole = restore_tiled(as_restorer(network), exact, tile=1024)
    tiled = restore_tiled(as_restorer(network), exact, tile=96, overlap=16)
    assert np.abs(tiled - whole).max() <= 1e-5
    whole8 = restore_tiled(as_restorer(network), image, tile=1024).astype(int)
    tiled8 = restore_tiled(as_restorer(network), image, tile=96, overlap=16).astype(int)
    assert np.abs(tiled8 - whole8).max() <= 1


def test_a_network_with_halvings_needs_the_alignment(make_photo):
    """Strided convolutions follow shifts only by multiples of their stride."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 48, 1), nn.PixelShuffle(4)).eval()
    image = make_photo(200, 232).astype(np.float32) / 255
    whole = restore_tiled(as_restorer(network), image, tile=256)
    aligned = restore_tiled(as_restorer(network), image, tile=96, overlap=16, alignment=4)
    shifted = restore_tiled(as_restorer(network), image, tile=92, overlap=16, alignment=1)
    assert np.abs(aligned - whole).max() <= 1e-5
    assert np.abs(shifted - whole).max() > 1e-2


def test_border_effects_do_not_reach_the_result_unless_the_overlap_is_too_small(make_photo):
    blur = nn.Conv2d(3, 3, 13, padding=6, groups=3, bias=False)
    nn.init.constant_(blur.weight, 1 / 169)
    image = make_photo(192, 192).astype(np.float32) / 255
    whole = restore_tiled(as_restorer(blur), image, tile=256)
    assert np.abs(restore_tiled(as_restorer(blur), image, tile=96, overlap=16) - whole).max() <= 1e-5
    assert np.abs(restore_tiled(as_restorer(blur), image, tile=96, overlap=0) - whole).max() > 0.01


def test_nafnet_has_no_measurable_seam(make_photo, seams):
    restore = as_restorer(nafnet())
    image = make_photo(288, 320).astype(np.float32) / 255
    whole = restore_tiled(restore, image, tile=512)
    tiled = restore_tiled(restore, image, tile=160, overlap=64)
    difference = (tiled - whole) * 255
    assert np.abs(difference).max() < 8  # channel attention sees the tile instead of the image
    seam, elsewhere = seams.seam_jump(difference, seams.feathered(320, 160, 64), axis=1)
    assert seam < 0.1  # grey levels
    assert seam < 2 * elsewhere
    hard = (restore_tiled(restore, image, tile=160, overlap=0) - whole) * 255
    hard_seam, _ = seams.seam_jump(hard, seams.feathered(320, 160, 0), axis=1)
    assert hard_seam > 5 * seam


def test_every_tile_has_the_same_size_and_the_progress_counts_all_steps(make_photo):
    shapes, seen = set(), []

    def restore(batch):
        shapes.add(batch.shape)
        return batch

    def track(steps):
        for step in steps:
            yield step
            seen.append((step, len(steps)))

    restore_tiled(restore, make_photo(150, 217), 96, 16, track)
    assert len(shapes) == 1
    assert len(seen) == seen[0][1] == len(plan_axis(150, 96, 16)) * len(plan_axis(217, 96, 16))


class Settling:
    """Adds 0.1, and 0.2 where it has settled."""

    def __init__(self, added=0.1):
        self.added = np.float32(added)

    def settled(self):
        return Settling(0.2)

    def __call__(self, batch):
        return batch + self.added


@pytest.mark.parametrize(("width", "reduction", "added"), [(799, 1, 0.1), (800, 1, 0.2), (800, 2, 0.1)])
def test_for_a_large_image_the_runtime_settles(width, reduction, added):
    restorer = Settling()
    restorer.reduction = reduction
    found = restore_tiled(restorer, np.zeros((1000, width, 3), np.float32))
    np.testing.assert_allclose(found, added, atol=1e-6)


def test_only_one_band_is_held_as_floats():
    import tracemalloc

    image = np.zeros((4096, 512, 3), np.uint8)
    tracemalloc.start()
    restore_tiled(lambda batch: batch, image, 128, 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    band = 128 * 512 * 3 * 4
    assert peak < image.nbytes + 3 * band  # all in floats would be 4 times the image


def test_broken_answers_are_named(make_photo):
    photo = make_photo(40, 40)
    with pytest.raises(UnblurError, match=r"row 0, column 0: the model returned \(1, 3, 20, 20\)"):
        restore_tiled(lambda batch: batch[..., ::2, ::2], photo)
    with pytest.raises(UnblurError, match="not finite"):
        restore_tiled(lambda batch: batch * np.float32("nan"), photo)


def test_values_outside_the_range_are_clipped(make_photo):
    assert restore_tiled(lambda batch: batch + 9, make_photo(20, 20)).min() == 255
    assert restore_tiled(lambda batch: batch - 9, make_photo(20, 20)).max() == 0
