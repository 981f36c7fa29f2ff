"""Flicker on a generated clip: a still picture with sensor noise, and an answer that changes from frame to frame."""

import numpy as np
import pytest

from unblur.restoring.flicker import SLACK, Steadier


@pytest.fixture
def clip(make_photo):
    """Inputs and answers: 10 frames of (64, 96, 3) uint8 each; the answers differ by up to 8 steps at random."""
    rng = np.random.default_rng(0)
    photo = make_photo(64, 96).astype(float)
    inputs = [np.clip(photo + rng.normal(0, 1, photo.shape), 0, 255).astype(np.uint8) for _ in range(10)]
    answers = [np.clip(each + rng.uniform(-8, 8, photo.shape), 0, 255).astype(np.uint8) for each in inputs]
    return inputs, answers


def steps(frames):
    return np.abs(np.diff(np.stack(frames).astype(int), axis=0))


def test_flicker_is_the_mean_step(clip):
    inputs, answers = clip
    steadier = Steadier(bound=False)
    shown = [steadier(*pair) for pair in zip(inputs, answers, strict=True)]
    assert all(frame is answer for frame, answer in zip(shown, answers, strict=True))
    assert steadier.flicker == pytest.approx([steps(each).mean() for each in (inputs, answers, answers)])


def test_no_pixel_steps_further_than_the_input_does_and_one(clip):
    inputs, answers = clip
    steadier = Steadier()
    shown = [steadier(*pair) for pair in zip(inputs, answers, strict=True)]
    assert (steps(shown) <= steps(inputs) + SLACK).all()
    of_input, of_answer, of_output = steadier.flicker
    assert of_output < of_input + SLACK < of_answer
    assert of_output == pytest.approx(steps(shown).mean())


def test_a_calm_answer_is_not_touched(clip):
    inputs, answers = clip
    steadier = Steadier()
    for frame in inputs:
        assert np.array_equal(steadier(frame, answers[0]), answers[0])


def test_what_moves_is_taken_as_it_is(make_photo):
    wide = make_photo(64, 400)
    steadier = Steadier()
    for t in range(6):
        frame = wide[:, 40 * t : 40 * t + 96]
        answer = (255 - frame).astype(np.uint8)
        shown = steadier(frame, answer)
    moving = np.abs(shown.astype(int) - answer).max(axis=2) == 0
    assert moving.mean() > 0.9


def test_a_single_frame_has_no_flicker(make_photo):
    steadier = Steadier()
    steadier(make_photo(8, 8), make_photo(8, 8))
    assert steadier.flicker is None
