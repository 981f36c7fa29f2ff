import numpy as np
import pytest

from unblur.blur.camera_path import View, centred_in_time, mean_picture, pictures, resampled, steps, with_fourth_channel
from unblur.blur.light import to_linear


def pose(**values):
    names = ("pitch", "yaw", "roll", "x", "y", "forwards")
    return np.array([[values.get(name, 0.0) for name in names]])


def test_a_path_is_centred_at_its_middle_and_on_average():
    path = np.cumsum(np.random.default_rng(0).standard_normal((257, 6)), axis=0)
    centred = centred_in_time(path)
    np.testing.assert_array_equal(centred[128], 0)
    np.testing.assert_allclose(resampled(centred, 7).mean(axis=0), 0, atol=1e-12)


def test_yaw_shifts_the_middle_by_the_focal_length_and_the_sides_by_more():
    view = View((101, 201), focal=1.0)
    half_diagonal = np.hypot(101, 201) / 2
    angle = 0.01
    tracks = view.tracks(np.concatenate([pose(), pose(yaw=angle)]))
    shift = np.abs(tracks[:, 1] - tracks[:, 0])
    assert shift[4] == pytest.approx(half_diagonal * np.tan(angle), rel=1e-6)
    # A point at x focal lengths moves by (1 + x^2) times as much.
    at = 100 / half_diagonal
    assert shift[0] == pytest.approx(shift[4] * (1 + at**2), rel=0.02, abs=0.3)


def test_roll_turns_about_the_middle_and_moving_forwards_magnifies():
    view = View((101, 201))
    still = view.tracks(pose())[:, 0] - view.tracks(pose())[4, 0]
    rolled = view.tracks(pose(roll=0.02))[:, 0] - view.tracks(pose())[4, 0]
    np.testing.assert_allclose(rolled, still * np.exp(0.02j), atol=1e-9)
    near = view.tracks(pose(forwards=0.1))[:, 0] - view.tracks(pose())[4, 0]
    np.testing.assert_allclose(near, still / 1.1, atol=1e-9)


def test_a_window_sees_what_the_picture_sees_there():
    whole = View((200, 200), focal=1.5)
    half_diagonal = np.hypot(200, 200) / 2
    scale = np.hypot(50, 50) / 2 / half_diagonal
    # Rows 120 to 169, columns 30 to 79.
    middle = complex(30 + 24.5 - 99.5, 120 + 24.5 - 99.5) / half_diagonal
    window = View((50, 50), scale, middle, 1.5)
    moved = pose(yaw=0.01, pitch=-0.02, roll=0.03, forwards=0.02)
    point = np.array([10, 20, 1.0])
    there = window.homographies(moved)[0] @ point
    same = whole.homographies(moved)[0] @ np.array([40, 140, 1.0])
    np.testing.assert_allclose(there[:2] / there[2] + [30, 120], same[:2] / same[2], atol=1e-9)


def test_scaled_poses_move_the_fastest_corner_over_the_extent():
    view = View((90, 120))
    path = 1e-4 * np.cumsum(np.random.default_rng(1).standard_normal((65, 6)), axis=0)
    grown = view.scaled(path, 12.0)
    widest = max(np.abs(track[:, None] - track[None]).max() for track in view.tracks(grown))
    assert widest == pytest.approx(12, rel=0.01)
    step = np.abs(np.diff(view.tracks(resampled(grown, steps(grown, view))))).max()
    assert step <= 3.0  # 1 on average


def test_a_shift_by_whole_pixels_moves_pixels(make_photo):
    photo = to_linear(make_photo(30, 40))
    right = np.array([[[1.0, 0, 3], [0, 1, 2], [0, 0, 1]]])
    seen = next(pictures(with_fourth_channel(photo), right))
    np.testing.assert_allclose(seen[:-2, :-3, :3], photo[2:, 3:], atol=1e-6)
    mean = mean_picture(photo, np.concatenate([np.eye(3)[None], right]))
    np.testing.assert_allclose(mean[:-2, :-3], (photo[:-2, :-3] + photo[2:, 3:]) / 2, atol=1e-6)
