import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.data.augment import PairedAugment
from unblur.errors import UnblurError


def coordinates(height, width, offset=0.0):
    """An image that says where each pixel came from: (y, x, offset)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([y, x, np.full_like(y, offset)], axis=-1)


augments = st.builds(PairedAugment, st.booleans(), st.booleans(), st.booleans())


@pytest.mark.property
@settings(max_examples=80)
@given(
    augments,
    st.integers(0, 2**31),
    st.integers(20, 40),
    st.integers(20, 40),
    st.integers(2, 5),
    st.sampled_from([None, 1, 7, 20]),
)
def test_blur_sharp_and_every_frame_get_the_identical_geometry(augment, seed, height, width, count, size):
    changed = augment([coordinates(height, width, frame) for frame in range(count)], seed, size)
    for frame, image in enumerate(changed):
        np.testing.assert_array_equal(image[..., :2], changed[0][..., :2])
        assert (image[..., 2] == frame).all()
    y, x = changed[0][..., 0], changed[0][..., 1]
    if size:
        assert y.shape == (size, size)
    # Nothing is interpolated, repeated or left out: neighbours stay neighbours.
    assert len(np.unique(y * 1000 + x)) == y.size
    for axis in (0, 1):
        assert (np.abs(np.diff(y, axis=axis)) + np.abs(np.diff(x, axis=axis)) == 1).all()


def test_bytes_and_floats_are_moved_alike():
    image = coordinates(30, 30)
    for seed in range(10):
        as_float, as_bytes = (
            PairedAugment()([image], seed, 12)[0],
            PairedAugment()([image.astype(np.uint8)], seed, 12)[0],
        )
        assert as_bytes.dtype == np.uint8
        np.testing.assert_array_equal(as_bytes, as_float)


def test_all_eight_orientations_and_all_places_are_reached():
    image = coordinates(9, 9)
    whole = {PairedAugment()([image], seed)[0].tobytes() for seed in range(200)}
    assert len(whole) == 8
    corners = {tuple(PairedAugment(flip=False, rotate=False)([image], seed, 7)[0][0, 0, :2]) for seed in range(200)}
    assert corners == {(y, x) for y in range(3) for x in range(3)}
    flipped = {PairedAugment(rotate=False)([image], seed)[0].tobytes() for seed in range(60)}
    turned = {PairedAugment(flip=False)([image], seed)[0].tobytes() for seed in range(60)}
    assert (len(flipped), len(turned), len(flipped & turned)) == (4, 4, 2)


def test_the_seed_decides_whatever_was_drawn_before():
    image = coordinates(40, 50)
    alone = PairedAugment()([image], 17, 16)[0]
    for seed in range(5):
        PairedAugment()([image], seed, 16)
    np.testing.assert_array_equal(PairedAugment()([image], 17, 16)[0], alone)


def test_switched_off_it_is_the_identity_or_the_middle():
    image = coordinates(20, 30)
    off = PairedAugment(crop=False, flip=False, rotate=False)
    for seed in range(5):
        np.testing.assert_array_equal(off([image], seed)[0], image)
        np.testing.assert_array_equal(off([image], seed, 10)[0], image[5:15, 10:20])


@pytest.mark.contract
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default", PairedAugment(zoom=[0.5, 1.5], permute=True)),
        ("none", PairedAugment(crop=False, flip=False, rotate=False)),
    ],
)
def test_the_presets_build(name, expected):
    assert instantiate(OmegaConf.load(config_dir() / "augment" / f"{name}.yaml")) == expected


@pytest.mark.property
def test_zoom_stays_in_its_range_and_halving_is_as_likely_as_doubling():
    augment = PairedAugment(zoom=(0.5, 2.0))
    drawn = np.array([augment.draw_zoom(np.random.default_rng(seed)) for seed in range(2000)])
    assert drawn.min() >= 0.5
    assert drawn.max() <= 2.0
    assert abs((drawn < 1).mean() - 0.5) < 0.04
    assert PairedAugment().draw_zoom(np.random.default_rng(0)) == 1.0


def test_channels_are_exchanged_in_every_order_or_not_at_all():
    permuted = PairedAugment(permute=True)
    orders = {tuple(permuted.draw_channels(np.random.default_rng(seed))) for seed in range(100)}
    assert len(orders) == 6
    assert PairedAugment().draw_channels(np.random.default_rng(3)) == [0, 1, 2]


@pytest.mark.parametrize("zoom", [(0.0, 1.0), (2.0, 1.0), (1.0,)])
def test_a_zoom_that_is_no_range_is_refused(zoom):
    with pytest.raises(UnblurError, match="zoom"):
        PairedAugment(zoom=zoom)


def test_images_that_differ_in_size_are_refused():
    with pytest.raises(UnblurError, match="expected images of one size"):
        PairedAugment()([coordinates(20, 20), coordinates(20, 21)], 0)


def test_images_smaller_than_the_crop_are_refused():
    with pytest.raises(UnblurError, match="the images are 30 x 20; a crop of 24"):
        PairedAugment()([coordinates(20, 30)], 0, 24)
