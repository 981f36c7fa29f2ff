import cv2
import numpy as np
import pytest

from unblur.blur.frame_averaging import FrameAveraging, flow, travel
from unblur.errors import UnblurError


def frames_of(count, value=None, size=(6, 8)):
    rng = np.random.default_rng(count)
    if value is not None:
        return [np.full((*size, 3), value, np.uint8)] * count
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def moving(photo, places, size=(96, 160)):
    """A textured square at these places (x, in pixels) over a textured background that goes the other way."""
    background, square = photo(size[0], size[1] + 40, 1), photo(40, 40, 2)
    made = []
    for x in places:
        scene = shifted(background, -0.25 * x, size)
        mask = shifted(np.full((40, 40, 3), 255, np.uint8), 20 + x, size, top=28) / 255
        made.append(np.rint(scene * (1 - mask) + shifted(square, 20 + x, size, top=28)).astype(np.uint8))
    return made


def shifted(image, x, size, top=0):
    move = np.array([[1, 0, x], [0, 1, top]], np.float32)
    border = cv2.BORDER_REFLECT if image.shape[0] == size[0] else cv2.BORDER_CONSTANT
    return cv2.warpAffine(image, move, size[::-1], borderMode=border).astype(np.float32)


def psnr(one, two):
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - two) ** 2))


def test_gamma_one_is_the_plain_mean_of_the_files_values_as_in_gopros_blur():
    frames = frames_of(7)
    expected = np.rint(np.mean(np.stack(frames).astype(np.float64), axis=0))
    blurred, _ = FrameAveraging(7, 1.0)(frames)
    assert np.abs(blurred - expected).max() <= 1  # float32 and float64 may round a half differently
    assert (blurred == expected).mean() > 0.95


@pytest.mark.parametrize("gamma", [1.8, 2.2])
def test_a_gamma_is_the_mean_of_powers_as_in_gopros_blur_gamma(gamma):
    frames = frames_of(11)
    values = np.stack(frames).astype(np.float64) / 255
    expected = (values**gamma).mean(axis=0) ** (1 / gamma) * 255
    assert np.abs(FrameAveraging(11, gamma)(frames)[0] - expected).max() < 0.51


def test_srgb_is_the_mean_of_light_by_the_standards_curve():
    frames = frames_of(5)
    values = np.stack(frames).astype(np.float64) / 255
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).mean(axis=0)
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(FrameAveraging(5, "srgb")(frames)[0] - expected).max() < 0.54


def test_black_and_white_average_to_what_each_gamma_says():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    means = {gamma: FrameAveraging(3, gamma)([black, white, white])[0][0, 0, 0] for gamma in (1.0, 2.2, "srgb")}
    assert means == {1.0: 170, 2.2: round(255 * (2 / 3) ** (1 / 2.2)), "srgb": 213}  # 213: sRGB of two thirds


def test_the_truth_is_the_middle_frame_to_the_byte():
    frames = frames_of(9)
    for interpolate in (1, 3):
        blurred, sharp = FrameAveraging(9, 2.2, interpolate)(frames)
        assert sharp is frames[4]
        assert not np.array_equal(blurred, sharp)


@pytest.mark.property
@pytest.mark.parametrize("gamma", [1.0, 2.2, "srgb"])
@pytest.mark.parametrize("interpolate", [1, 4])
def test_what_does_not_move_stays_as_it_is(gamma, interpolate, make_photo):
    photo = make_photo(48, 64)
    blurred, _ = FrameAveraging(5, gamma, interpolate)([photo] * 5)
    np.testing.assert_array_equal(blurred, photo)


@pytest.mark.property
@pytest.mark.parametrize("gamma", [1.0, 2.2, "srgb"])
def test_every_code_survives(gamma):
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(FrameAveraging(3, gamma)([codes] * 3)[0], codes)


@pytest.mark.property
def test_the_same_frames_give_the_same_bytes(make_photo):
    frames = moving(make_photo, range(0, 40, 8))
    averaging = FrameAveraging(5, 2.2, 4)
    assert averaging(frames)[0].tobytes() == averaging([frame.copy() for frame in frames])[0].tobytes()


def test_one_frame_is_the_identity():
    (frame,) = frames_of(1)
    blurred, sharp = FrameAveraging(1)([frame])
    np.testing.assert_array_equal(blurred, frame)
    np.testing.assert_array_equal(sharp, frame)


def test_frames_in_between_remove_the_ghosts(make_photo):
    """Held against the average of a video that is 16 times as fast: 8 pixels a frame leave copies, then none."""
    frames = moving(make_photo, np.arange(5) * 8)
    dense = FrameAveraging(65, "srgb")(moving(make_photo, np.arange(65) / 2))[0]
    scores = [psnr(FrameAveraging(5, "srgb", steps)(frames)[0], dense) for steps in (1, 2, 8)]
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 6


def test_copies_of_a_bright_line_become_one_even_streak():
    frames = []
    for x in range(20, 60, 8):
        frame = np.full((64, 96, 3), 20, np.uint8)
        frame[20:44, x : x + 12] = 240
        frames.append(frame)
    row = slice(30, 34), slice(40, 52)  # inside, where the line passes wholly
    ghosts, streak = (FrameAveraging(5, "srgb", steps)(frames)[0][row].astype(float) for steps in (1, 8))
    assert np.ptp(ghosts) > 3 * np.ptp(streak)


def test_the_flow_is_the_motion_and_travel_its_length(make_photo):
    still = make_photo(96, 160)
    moved = np.roll(still, 3, axis=1)
    np.testing.assert_allclose(np.median(flow(still, moved), axis=(0, 1)), [3, 0], atol=0.2)
    assert travel([np.roll(still, 3 * step, axis=1) for step in range(5)]) == pytest.approx(12, abs=1)
    large = cv2.resize(still, (960, 576), interpolation=cv2.INTER_CUBIC)
    assert travel([np.roll(large, 6 * step, axis=1) for step in range(5)]) == pytest.approx(24, rel=0.15)
    assert travel([still]) == 0
    assert travel([still, still]) == pytest.approx(0, abs=0.1)


def test_pictures_too_small_for_the_flow_are_averaged_all_the_same():
    frames = frames_of(3, size=(1, 1))
    assert FrameAveraging(3, 1.0, 4)(frames)[0].shape == (1, 1, 3)


@pytest.mark.parametrize("count", [0, -3, 4])
def test_a_number_of_frames_without_a_middle_is_refused(count):
    with pytest.raises(UnblurError, match=rf"got {count} frames; expected an odd number"):
        FrameAveraging(count)


def test_more_frames_than_fit_into_memory_are_refused():
    assert FrameAveraging(9999).frames == 9999
    for count in (10_001, 10**30 + 1):
        with pytest.raises(UnblurError, match=f"got {count} frames, all in memory at once; expected at most 10000"):
            FrameAveraging(count)


@pytest.mark.parametrize("gamma", [0, -1.0, float("nan"), float("inf"), "linear"])
def test_a_gamma_that_is_none_is_refused(gamma):
    with pytest.raises(UnblurError, match=r'got gamma .*; expected 1\.0, 2\.2, another number above 0, or "srgb"'):
        FrameAveraging(3, gamma)


def test_no_steps_between_frames_is_refused():
    with pytest.raises(UnblurError, match="got interpolate 0"):
        FrameAveraging(3, 2.2, 0)


@pytest.mark.parametrize("frames", [frames_of(3), frames_of(4), [*frames_of(4), np.zeros((8, 6, 3), np.uint8)], []])
def test_other_frames_than_announced_are_refused(frames):
    with pytest.raises(UnblurError, match="expected 5 frames of one size, got"):
        FrameAveraging(5)(frames)
