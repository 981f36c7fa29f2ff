import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unblur.blur.light import to_linear
from unblur.config.compose import compose
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


@pytest.mark.parametrize("augment", [PairedAugment(), PairedAugment(angle=9, scale=(0.8, 1.2), exposure=1, colour=0.5)])
def test_the_seed_decides_whatever_was_drawn_before(augment):
    image = coordinates(40, 50) / 50
    alone = augment([image], 17, 16)[0]
    for seed in range(5):
        assert not np.array_equal(augment([image], seed, 16)[0], alone)
    np.testing.assert_array_equal(augment([image], 17, 16)[0], alone)


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
        (
            "rich",
            PairedAugment(
                zoom=[0.5, 1.5], permute=True, angle=3, scale=[1, 1], exposure=1, colour=0.2, cutblur=0.3, mixup=0.1
            ),
        ),
    ],
)
def test_the_presets_build(name, expected):
    assert instantiate(compose([f"augment={name}"]).augment) == expected


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


def test_the_default_makes_the_bytes_that_it_always_made(make_photo):
    """The hashes were taken before rotation, scale, exposure and colour could be asked for."""
    made = [
        hashlib.sha256(b"".join(image.tobytes() for image in augment([make_photo(60, 70, 1)] * 2, 5, size))).hexdigest()
        for augment, size in ((PairedAugment(zoom=(0.5, 1.5), permute=True), 32), (PairedAugment(), None))
    ]
    assert [digest[:16] for digest in made] == BYTES


BYTES = ["d6e7162ff236ee98", "5c00ae36f34781a9"]

warps = st.builds(
    PairedAugment, *[st.booleans()] * 3, angle=st.floats(0, 45), scale=st.sampled_from([(1, 1), (0.8, 1.25), (2, 2)])
)


@pytest.mark.property
@settings(max_examples=60)
@given(warps, st.integers(0, 2**31), st.integers(70, 90), st.integers(70, 90), st.sampled_from([None, 16, 24]))
def test_turned_and_scaled_images_keep_each_pixel_where_its_partner_is(augment, seed, height, width, size):
    """Each pixel's colour is its place, and interpolation keeps a ramp: one similarity fits them all."""
    blur, sharp, frame = augment([coordinates(height, width, number) for number in (0, 1, 2)], seed, size)
    np.testing.assert_array_equal(blur[..., :2], sharp[..., :2])
    np.testing.assert_array_equal(blur[..., :2], frame[..., :2])
    for number, image in enumerate((blur, sharp, frame)):
        np.testing.assert_allclose(image[..., 2], number, atol=1e-5)
    if size is None:
        return  # the corners are mirrored in
    rows, columns = np.mgrid[0:size, 0:size]
    design = np.column_stack([rows.ravel(), columns.ravel(), np.ones(size * size)])
    fitted, *_ = np.linalg.lstsq(design, sharp[..., :2].reshape(-1, 2).astype(np.float64), rcond=None)
    # OpenCV places to 1/32 of a pixel, and its cubic (a = -0.75) bends a ramp by up to 0.05; near an angle of 0 that is
    # a slow wave, which the fit follows by as much again (0.14 was the most in 20,000 draws).
    assert np.abs(design @ fitted - sharp[..., :2].reshape(-1, 2)).max() < 0.16
    step = np.linalg.norm(fitted[:2], axis=1)
    assert step[0] == pytest.approx(step[1], abs=0.04)
    assert 1 / augment.scale[1] - 0.04 <= step[0] <= 1 / augment.scale[0] + 0.04
    assert abs(fitted[0] @ fitted[1]) < 0.04  # right angles stay right
    turn = np.rad2deg(np.arctan2(fitted[0, 1], fitted[0, 0])) % 90
    assert min(turn, 90 - turn) <= augment.angle + 1.5


def test_angles_scales_and_places_are_all_drawn():
    image = coordinates(80, 80)
    augment = PairedAugment(flip=False, rotate=False, angle=10, scale=(0.5, 2))
    made = [augment([image], seed, 20)[0] for seed in range(300)]
    steps = np.array([np.linalg.norm(one[10, 10, :2] - one[10, 11, :2]) for one in made])
    turns = np.array([one[10, 11, 0] - one[10, 10, 0] for one in made]) / steps
    assert steps.min() < 0.55 < 1.8 < steps.max()
    assert turns.min() < -0.15 < 0.15 < turns.max()
    middles = np.array([one[10, 10, :2] for one in made])
    assert (middles.min(axis=0) < 25).all()
    assert (middles.max(axis=0) > 55).all()


@pytest.mark.property
@settings(max_examples=40)
@given(st.integers(0, 2**31), st.floats(0, 1.5), st.floats(0, 0.5), st.booleans())
def test_light_is_the_same_for_all_images_and_commutes_with_blur(seed, exposure, colour, as_bytes):
    """Mixing pixels in linear light before or after relighting is the same, so a relit pair is a true pair."""
    rng = np.random.default_rng(0)
    sharp = rng.uniform(0.05, 0.3, (8, 8, 3)).astype(np.float32)
    if as_bytes:
        sharp = np.rint(sharp * 255).astype(np.uint8)
    augment = PairedAugment(False, False, False, exposure=exposure, colour=colour)
    one, two = augment([sharp, sharp.copy()], seed)
    np.testing.assert_array_equal(one, two)
    assert one.dtype == sharp.dtype
    if as_bytes:
        return
    mean = cv2.blur(to_linear(sharp), (8, 8), borderType=cv2.BORDER_REFLECT)
    blurred = np.where(mean <= 0.0031308, mean * 12.92, 1.055 * np.maximum(mean, 1e-9) ** (1 / 2.4) - 0.055)
    relit_sharp, relit_blur = augment([sharp, blurred.astype(np.float32)], seed)
    if relit_sharp.max() < 1 and relit_sharp.min() > 0:
        after = cv2.blur(to_linear(relit_sharp), (8, 8), borderType=cv2.BORDER_REFLECT)
        np.testing.assert_allclose(to_linear(relit_blur), after, atol=1e-5)


def test_exposure_is_in_stops_and_colour_changes_channels_and_saturation():
    grey = np.full((4, 4, 3), 100, np.uint8)
    augment = PairedAugment(False, False, False, exposure=1)
    gains = np.array([to_linear(augment([grey], seed)[0])[0, 0] / to_linear(grey)[0, 0] for seed in range(200)])
    assert np.ptp(gains, axis=1).max() < 1e-6  # grey stays grey
    assert 0.48 < gains.min() < 0.55
    assert 1.8 < gains.max() < 2.03
    tinted = [PairedAugment(False, False, False, colour=0.3)([grey], seed)[0][0, 0] for seed in range(50)]
    assert max(int(np.ptp(one)) for one in tinted) > 10


@pytest.mark.parametrize(
    "wrong", [{"angle": 46}, {"exposure": -1}, {"colour": 2}, {"cutblur": 1.1}, {"mixup": -0.1}, {"scale": (0.4, 1)}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(UnblurError, match=f"got {next(iter(wrong))}"):
        PairedAugment(**wrong)
