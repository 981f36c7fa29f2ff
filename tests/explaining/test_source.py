"""Which frame is meant is told by its number in what was given, and a frame that is not there by how many there are."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from unblur.errors import UsageError
from unblur.explaining.source import read_source

IMAGE, BURST, VIDEO = (SimpleNamespace(task=task, name="model") for task in ("image", "burst", "video"))


@pytest.fixture
def frames(make_photo):
    return [make_photo(48, 64, number) for number in range(9)]


@pytest.fixture
def clip(frames, make_video, tmp_path):
    return make_video(tmp_path / "clip.mkv", frames)


@pytest.fixture
def folder(frames, tmp_path):
    (tmp_path / "shots").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "shots" / f"{number}.png")
    return tmp_path / "shots"


def test_frames_keep_the_numbers_that_they_have_in_a_clip(clip, frames):
    found = read_source(clip, VIDEO, 7)
    assert (found.numbers, found.numbers[found.reference]) == ((3, 4, 5, 6, 7, 8), 7)
    np.testing.assert_array_equal(np.rint(255 * found.frames[found.reference]), frames[7])
    assert read_source(clip, VIDEO).numbers == tuple(range(7))


def test_frames_keep_the_numbers_that_they_have_in_a_folder(folder):
    assert read_source(folder, BURST, 3).numbers == (3, 0, 1, 2, 4, 5, 6, 7, 8)
    assert read_source(folder, VIDEO, 6).numbers == (2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize("number", [9, 10, 14, 500])
@pytest.mark.parametrize("model", [IMAGE, VIDEO], ids=lambda model: model.task)
def test_a_frame_that_a_clip_has_not_is_told_with_how_many_it_has(clip, model, number):
    with pytest.raises(UsageError, match=rf"--frame {number}: .*clip.mkv has 9 frames; expected 0 to 8"):
        read_source(clip, model, number)


def test_a_frame_that_a_burst_has_not_a_negative_one_and_one_of_a_photograph_are_refused(folder):
    with pytest.raises(UsageError, match=r"--frame 9: .*shots has 9 frames; expected 0 to 8"):
        read_source(folder, BURST, 9)
    with pytest.raises(UsageError, match="--frame -1: expected 0 or more"):
        read_source(folder, BURST, -1)
    with pytest.raises(UsageError, match=r"--frame 0: .*3.png is a single photograph; leave --frame out"):
        read_source(folder / "3.png", IMAGE, 0)
