import json
from itertools import pairwise

import numpy as np
import pytest

from unblur.blur.camera_motion import CameraMotion
from unblur.blur.light import to_linear
from unblur.blur.recipe import Drawn
from unblur.blur.sensor import SensorNoise
from unblur.blur.sequence import BurstRecipe, VideoRecipe
from unblur.errors import UnblurError

CAMERA = CameraMotion(0, 12)
NOISE = SensorNoise(0.01, 0.01)
VIDEO = VideoRecipe(CAMERA, 5)
BURST = BurstRecipe(CAMERA, 5)


def psnr(one, two):
    return 10 * np.log10(255**2 / np.square(one.astype(float) - two).mean())


def blur_of(motion, count=20, **options):
    return [motion.draw(np.random.default_rng(seed), **options) for seed in range(count)]


@pytest.mark.parametrize("recipe", [VIDEO, BURST, VideoRecipe(CAMERA, 3, NOISE), BurstRecipe(CAMERA, 3, NOISE)])
def test_the_same_row_gives_the_same_bytes_also_after_json(recipe, make_photo):
    photo = make_photo(48, 60)
    for drawn in blur_of(recipe, 4):
        stored = Drawn(drawn.kind, drawn.strength, json.loads(json.dumps(drawn.parameters)))
        for one, two in zip(recipe.apply(photo, stored), recipe.apply(photo.copy(), drawn), strict=True):
            assert one.tobytes() == two.tobytes()


def test_a_still_video_is_the_photograph_in_every_frame(make_photo):
    photo = make_photo(40, 50)
    drawn = VideoRecipe(CameraMotion(0, 0), 4).draw(np.random.default_rng(0))
    for frames in VIDEO.apply(photo, drawn):
        assert frames.shape == (4, 40, 50, 3)
        np.testing.assert_array_equal(frames, np.stack([photo] * 4))


def test_every_truth_shows_the_middle_of_its_frames_exposure(make_photo):
    """Against the truths of its neighbours a blurred frame fits its own best."""
    photo = make_photo(96, 96)
    for seed in range(4):
        blurred, sharp = VIDEO.apply(photo, VIDEO.draw(np.random.default_rng(seed + 20)), margin=16)
        for t, frame in enumerate(blurred):
            assert max(range(5), key=lambda other: psnr(frame, sharp[other])) == t


def test_the_frames_of_a_video_differ_in_blur_and_the_strongest_has_the_strength():
    ratios = []
    for drawn in blur_of(VIDEO, 12):
        shots, view = VIDEO.poses(drawn.parameters, (80, 100))
        extents = [max(np.abs(track[:, None] - track[None]).max() for track in view.tracks(shot)) for shot in shots]
        assert max(extents) == pytest.approx(drawn.strength, rel=0.03)
        ratios.append(max(extents) / min(extents))
    assert np.median(ratios) > 1.5


def test_the_camera_goes_on_between_the_frames():
    drawn = VIDEO.draw(np.random.default_rng(1))
    shots, view = VIDEO.poses(drawn.parameters, (80, 100))
    ends = [view.tracks(shot)[4] for shot in shots]
    for before, after in pairwise(ends):
        assert 0 < abs(after[0] - before[-1]) < 3 * drawn.strength


def test_the_truth_of_a_burst_is_the_photograph_and_its_first_shot_is_aligned(make_photo):
    photo = make_photo(120, 120)
    shifts = []
    for seed in range(6):
        drawn = BURST.draw(np.random.default_rng(seed))
        shots, sharp = BURST.apply(photo, drawn)
        np.testing.assert_array_equal(sharp, photo)
        shifts.append([shift_of(to_linear(photo), to_linear(shot)) for shot in shots])
    shifts = np.array(shifts)
    assert np.abs(shifts[:, 0]).max() < 0.3
    assert np.median(np.linalg.norm(shifts[:, 1:], axis=2)) > 0.5
    assert np.abs(shifts).max() < 4.5


def shift_of(sharp, image):
    import cv2
    from skimage.registration import phase_cross_correlation

    window = np.outer(np.hanning(120), np.hanning(120)).astype(np.float32)
    coarse = [cv2.GaussianBlur(each.mean(axis=2) * window, (0, 0), 8) for each in (sharp, image)]
    return phase_cross_correlation(*coarse, upsample_factor=20, normalization=None)[0]


def test_some_shots_of_a_burst_are_luckier(make_photo):
    photo = make_photo(80, 80)
    quiet = BurstRecipe(CAMERA, 6, max_shift=0, max_turn=0)
    shots, sharp = quiet.apply(photo, Drawn("burst", 12.0, quiet.draw(np.random.default_rng(5)).parameters))
    quality = sorted(psnr(shot, sharp) for shot in shots)
    assert quality[-1] - quality[0] > 1


def test_each_frame_has_noise_of_its_own():
    grey = np.full((64, 64, 3), 128, np.uint8)
    for recipe in (VideoRecipe(CameraMotion(0, 0), 2, NOISE), BurstRecipe(CameraMotion(0, 0), 2, NOISE)):
        frames, _ = recipe.apply(grey, recipe.draw(np.random.default_rng(0)))
        one, two = frames.astype(float) - 128
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05
        assert one.std() > 1


def test_bytes_in_bytes_out_and_float_in_float_out(make_photo):
    photo = make_photo(40, 40)
    for recipe in (VIDEO, BURST):
        drawn = recipe.draw(np.random.default_rng(4))
        for coarse, exact in zip(
            recipe.apply(photo, drawn), recipe.apply(photo.astype(np.float32) / 255, drawn), strict=True
        ):
            assert coarse.dtype == np.uint8
            assert exact.dtype == np.float32
            assert np.abs(coarse / 255 - exact).max() < 0.51 / 255 + 1e-4


def test_strata_cover_every_strength_once():
    assert [(s.kind, s.low, s.high) for s in VIDEO.strata(2)] == [("video", 0, 0.5), ("video", 0.5, 1)]
    assert BURST.draw(np.random.default_rng(0), severity=0.0).strength == 0


def test_no_frames_are_refused():
    with pytest.raises(UnblurError, match="video: got 0 frames"):
        VideoRecipe(CAMERA, 0)


def test_a_row_makes_its_frames_again_whatever_the_recipe_has_become(make_photo):
    """All that was drawn is in the row: of the recipe nothing but its kind is needed."""
    photo = make_photo(48, 60)
    for kind in (VideoRecipe, BurstRecipe):
        drawn = kind(CAMERA, 3, NOISE).draw(np.random.default_rng(2))
        other = kind(CameraMotion(1, 2, max_pull=0, max_roll=0, focal=[1, 1]), 7)
        for one, two in zip(other.apply(photo, drawn), kind(CAMERA, 3).apply(photo, drawn), strict=True):
            np.testing.assert_array_equal(one, two)
