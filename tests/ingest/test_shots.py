import cv2
import numpy as np
import pytest

from unblur.images.video import DamagedVideoError, Frame
from unblur.ingest.shots import AROUND, CUT, difference, look, windows, with_shots


def scene(make_photo, seed, count, speed=2):
    """A camera that pans over a photograph."""
    wide = make_photo(120, 160 + speed * count, seed)
    return [wide[:, speed * index : speed * index + 160] for index in range(count)]


def frames_of(pixels, first=0):
    return [Frame(first + index, picture) for index, picture in enumerate(pixels)]


def starts(pixels):
    """Return the first frame of each shot."""
    first = {}
    for shot, frame in with_shots(frames_of(pixels)):
        first.setdefault(shot, frame.index)
    return list(first.values())


def noisy(pixels, deviation, seed=0):
    rng = np.random.default_rng(seed)
    return [np.clip(p + rng.normal(0, deviation, p.shape), 0, 255).astype(np.uint8) for p in pixels]


def brighter(picture):
    return np.clip(picture.astype(int) * 2 + 60, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)])
def test_a_cut_is_found_to_the_frame(make_photo, seeds):
    one, two = (scene(make_photo, seed, 14) for seed in seeds)
    assert starts([*one, *two]) == [0, 14]
    assert starts(noisy([*one, *two], 15)) == [0, 14]
    assert starts([*one, *two, *one]) == [0, 14, 28]


def test_a_shot_of_three_frames_is_one(make_photo):
    one, short, two = scene(make_photo, 0, 10), scene(make_photo, 1, 3), scene(make_photo, 2, 10)
    assert starts([*one, *short, *two]) == [0, 10, 13]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("kind", ["brighter", "white", "black"])
def test_a_flash_is_no_cut(make_photo, seed, length, kind):
    flash = {"brighter": brighter, "white": lambda p: np.full_like(p, 255), "black": np.zeros_like}[kind]
    pixels = scene(make_photo, seed, 20)
    pixels[9 : 9 + length] = [flash(picture) for picture in pixels[9 : 9 + length]]
    assert starts(pixels) == [0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neither_noise_nor_a_light_that_is_switched_on_nor_a_fast_pan_is_a_cut(make_photo, seed):
    pixels = scene(make_photo, seed, 20)
    assert starts(noisy(pixels, 30)) == [0]
    dimmed = [(picture * 0.4).astype(np.uint8) for picture in pixels[:10]]
    assert starts([*dimmed, *pixels[10:]]) == [0]
    assert starts(scene(make_photo, seed, 20, speed=20)) == [0]  # an eighth of the width from frame to frame


def test_a_flash_at_the_cut_does_not_hide_it(make_photo):
    one, two = scene(make_photo, 0, 10), scene(make_photo, 1, 10)
    one[-1] = np.full_like(one[-1], 255)
    assert 10 in starts([*one, *two])


def test_a_gap_and_a_new_size_begin_a_shot(make_photo):
    pixels = scene(make_photo, 0, 12)
    with_gap = [*frames_of(pixels[:5]), *frames_of(pixels[5:], first=6)]
    assert [shot for shot, _ in with_shots(with_gap)] == [0] * 5 + [1] * 7
    assert starts([*pixels, *(cv2.resize(picture, (80, 60)) for picture in pixels)]) == [0, 12]


def test_the_difference_is_none_of_a_frame_and_itself_and_large_of_two_scenes(make_photo):
    one, two = (look(make_photo(120, 160, seed)) for seed in (0, 1))
    assert difference(one, one) == pytest.approx(0, abs=1e-6)
    assert difference(one, two) == pytest.approx(difference(two, one))
    assert difference(one, two) > 2 * CUT
    flat = look(np.full((20, 30, 3), 90, np.uint8))
    assert difference(flat, flat) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(difference(one, look(np.zeros((1, 1, 3), np.uint8))))


def test_every_frame_comes_out_once_in_order_with_few_held(make_photo):
    taken = 0

    def counted():
        nonlocal taken
        for frame in frames_of(scene(make_photo, 0, 30)):
            taken += 1
            yield frame

    for index, (_, frame) in enumerate(with_shots(counted())):
        assert frame.index == index
        assert taken <= index + AROUND
    assert taken == 30


def test_damage_is_raised_after_the_last_frame(make_photo):
    def damaged():
        yield from frames_of(scene(make_photo, 0, 9))
        raise DamagedVideoError("clip: damaged at frame 9")

    shots = with_shots(damaged())
    assert [next(shots)[1].index for _ in range(9)] == list(range(9))
    with pytest.raises(DamagedVideoError, match="damaged at frame 9"):
        next(shots)
    in_threes = windows(damaged(), 3, 3)
    assert [[frame.index for frame in next(in_threes)[1]] for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.raises(DamagedVideoError, match="damaged at frame 9"):
        next(in_threes)


@pytest.mark.property
@pytest.mark.parametrize(("count", "stride"), [(1, 1), (5, 5), (5, 2), (3, 7), (11, 11)])
def test_windows_are_frames_in_a_row_a_stride_apart_and_never_cross_a_cut(make_photo, count, stride):
    lengths = (13, 4, 12)
    pixels = [p for seed, length in enumerate(lengths) for p in scene(make_photo, seed, length)]
    found = list(windows(frames_of(pixels), count, stride))
    expected = []
    begin = 0
    for shot, length in enumerate(lengths):
        places = range(begin, begin + length - count + 1, stride)
        expected += [(shot, list(range(place, place + count))) for place in places]
        begin += length
    assert [(shot, [frame.index for frame in window]) for shot, window in found] == expected
