"""Which frame is meant is told by its number in what was given, and a frame that is not there by how many there are."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from unblur.errors import UnblurError, UsageError
from unblur.explaining.source import read_source
from unblur.images.video import DamagedVideoError, Frame

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


@pytest.fixture
def damaged(monkeypatch, tmp_path, frames):
    """`damaged(*lost)`: a clip of nine frames without these."""
    path = tmp_path / "damaged.mp4"
    path.touch()

    def make(*lost):
        def read(path):
            yield from (Frame(number, frame) for number, frame in enumerate(frames) if number not in lost)
            raise DamagedVideoError(str(path))

        monkeypatch.setattr("unblur.images.video.read_frames", read)
        return path

    return make


def test_frames_of_a_damaged_clip_keep_their_numbers(damaged, frames):
    found = read_source(damaged(1, 5), VIDEO, 6)
    assert (found.numbers, found.reference) == ((2, 3, 4, 6, 7, 8), 3)
    np.testing.assert_array_equal(np.rint(255 * found.frames[found.reference]), frames[6])
    assert read_source(damaged(0, 3, 4), VIDEO).numbers[0] == 1
    image = read_source(damaged(*range(1, 7)), IMAGE, 8)  # the damage is told after the last frame
    np.testing.assert_array_equal(np.rint(255 * image.frames[0]), frames[8])


def test_a_damaged_frame_is_told_and_never_another_one_explained(damaged):
    with pytest.raises(UnblurError, match=r"damaged.mp4: frame 5 is damaged; choose another with --frame"):
        read_source(damaged(5), IMAGE, 5)
    with pytest.raises(UnblurError, match=r"damaged.mp4: none of its frames can be read"):
        read_source(damaged(*range(9)), IMAGE)


@pytest.mark.parametrize("model", [BURST, VIDEO], ids=lambda model: model.task)
def test_of_shots_that_cannot_all_be_read_none_is_explained_by_a_wrong_number(folder, model):
    (folder / "2b.png").write_bytes(b"no picture")
    with pytest.raises(UnblurError, match=r"2b.png: "):
        read_source(folder, model, 3)
