import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unblur.blur.frame_averaging import FrameAveraging
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import read_manifest
from unblur.errors import UnblurError
from unblur.ingest.averaging import average_videos, exposed_frames, find_videos, remake_average
from unblur.ingest.imported import import_dataset
from unblur.ingest.layouts.known import LAYOUTS
from unblur.safety.hashing import sha256_file

FIVE = FrameAveraging(5, 2.2)


def pan(make_photo, seed, count):
    wide = make_photo(64, 96 + 3 * count, seed)
    return [wide[:, 3 * index : 3 * index + 96] for index in range(count)]


@pytest.fixture
def clip(tmp_path, make_video, make_photo):
    """12 frames of one shot, 8 of another; lossless."""
    folder = tmp_path / "videos"
    folder.mkdir()
    return make_video(folder / "clip.mkv", [*pan(make_photo, 0, 12), *pan(make_photo, 1, 8)])


def test_pairs_are_the_averages_and_their_middle_frames(tmp_path, clip, make_photo):
    made = [*pan(make_photo, 0, 12), *pan(make_photo, 1, 8)]
    out = tmp_path / "out"
    averaged = average_videos(clip, out, FIVE, stride=5)
    assert averaged.failures == averaged.too_short == []
    assert [row.parameters["first_frame"] for row in averaged.rows] == [0, 5, 12]  # 10 to 14 would cross the cut
    for row in averaged.rows:
        first = row.parameters["first_frame"]
        blurred, sharp = FIVE(made[first : first + 5])
        np.testing.assert_array_equal(read_rgb(out / row.blur), blurred)
        np.testing.assert_array_equal(read_rgb(out / row.sharp), sharp)
        np.testing.assert_array_equal(sharp, made[first + 2])
        assert row.strength == pytest.approx(12, abs=2)  # 3 pixels a frame, four times
    assert [row.blur for row in averaged.rows] == [f"train/blur/clip/{at:06d}.png" for at in (2, 7, 14)]


def test_the_manifest_has_every_number_and_makes_each_pair_again(tmp_path, clip):
    out = tmp_path / "out"
    averaged = average_videos(clip, out, FrameAveraging(3, "srgb", 4), stride=4, split="test")
    rows = read_manifest(out)
    assert rows == averaged.rows
    for row in rows:
        assert (row.kind, row.split, row.scene, row.source) == ("frame_average", "test", "clip", "clip.mkv")
        assert json.loads(json.dumps(row.parameters)) == row.parameters
        assert row.blur_sha256 == sha256_file(out / row.blur)
        assert row.sharp_sha256 == sha256_file(out / row.sharp)
        blurred, sharp = remake_average(row, clip.parent)
        np.testing.assert_array_equal(read_rgb(out / row.blur), blurred)
        np.testing.assert_array_equal(read_rgb(out / row.sharp), sharp)


def test_the_same_video_gives_the_same_bytes(tmp_path, clip):
    one, two = (average_videos(clip, tmp_path / name, FIVE, stride=2).rows for name in ("one", "two"))
    assert one == two
    assert len(one) == 6


def test_a_folder_gives_the_pairs_of_all_and_names_the_damaged_and_the_short(tmp_path, clip, make_video, make_photo):
    videos = clip.parent
    (videos / "day").mkdir()
    broken = make_video(videos / "day" / "broken.mkv", pan(make_photo, 2, 30))
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    make_video(videos / "short.mkv", pan(make_photo, 3, 4))
    (videos / "text.mp4").write_text("no video")
    (videos / "notes.txt").write_text("not even called one")
    averaged = average_videos(videos, tmp_path / "out", FIVE, stride=5)
    of_broken = [row for row in averaged.rows if row.source == "day/broken.mkv"]
    assert 1 <= len(of_broken) < 6
    assert all(row.scene == "day_broken" for row in of_broken)
    assert sum(row.source == "clip.mkv" for row in averaged.rows) == 3
    assert averaged.too_short == ["short.mkv"]
    assert len(averaged.failures) == 2
    assert "broken.mkv: damaged at frame " in averaged.failures[0]
    assert "text.mp4: not a video" in averaged.failures[1]
    assert read_manifest(tmp_path / "out") == averaged.rows
    late = replace(of_broken[0], parameters={**of_broken[0].parameters, "first_frame": 24})
    with pytest.raises(UnblurError, match=r"frames 24 to 28 are damaged in .*broken\.mkv"):
        remake_average(late, videos)


def test_an_interruption_leaves_a_manifest_of_what_is_there(tmp_path, clip, monkeypatch):
    made = 0

    def interrupted(path, image):
        nonlocal made
        made += 1
        if made == 5:
            raise KeyboardInterrupt
        write_png(path, image)

    monkeypatch.setattr("unblur.ingest.averaging.write_png", interrupted)
    with pytest.raises(KeyboardInterrupt):
        average_videos(clip, tmp_path / "out", FIVE, stride=5)
    assert [row.parameters["first_frame"] for row in read_manifest(tmp_path / "out")] == [0, 5]


def test_what_was_made_before_is_neither_mixed_nor_removed(tmp_path, clip):
    out = tmp_path / "out"
    average_videos(clip, out, FIVE, stride=5)
    before = sorted(path.name for path in out.rglob("*"))
    with pytest.raises(UnblurError, match=r"out: was written by `unblur data average` from something else"):
        average_videos(clip, out, FIVE, stride=4)
    assert sorted(path.name for path in out.rglob("*")) == before
    pairs = read_manifest(out)
    average_videos(clip, out, FIVE, stride=5)  # the same again, as after a kill
    assert read_manifest(out) == pairs
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "holiday.jpg").touch()
    with pytest.raises(UnblurError, match=r"own: holds holiday\.jpg and no \.unblur\.json"):
        average_videos(clip, tmp_path / "own", FIVE, stride=5)


def test_a_call_that_makes_no_pair_leaves_the_folder_free_for_other_options(tmp_path, clip):
    out = tmp_path / "out"
    averaged = average_videos(clip, out, FrameAveraging(101), stride=101)
    assert (averaged.rows, averaged.too_short) == ([], ["clip.mkv"])
    assert [path.name for path in out.iterdir()] == [".unblur.json"]
    assert len(average_videos(clip, out, FIVE, stride=5).rows) == 3


def test_two_videos_of_one_name_are_refused(tmp_path):
    for name in ("a_b.mp4", "a/b.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(UnblurError, match="would both be called 'a_b'; rename one"):
        find_videos(tmp_path)


def test_several_videos_and_folders_are_taken_once_each(tmp_path):
    for name in ("one/a.mp4", "one/b.mp4", "two/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    one, two = tmp_path / "one", tmp_path / "two"
    assert find_videos([one / "b.mp4", one / "a.mp4", one]) == (one, ["a.mp4", "b.mp4"])
    assert find_videos([one, two / "c.mp4"]) == (tmp_path, ["one/a.mp4", "one/b.mp4", "two/c.mp4"])


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(UnblurError, match="there is no such video or folder"):
        find_videos(tmp_path / "none")
    with pytest.raises(UnblurError, match=r"holds no video; expected files that end in \.mp4"):
        find_videos(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride of 0"),
        ({"stride": 1, "split": "tset"}, "no split 'tset'"),
        ({"stride": 1, "splits": {"clip": "tset"}}, "no split 'tset'"),
        (
            {"stride": 1, "splits": {"other": "val"}},
            r"'other' for val is none of the videos; expected one of clip\.mkv",
        ),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(tmp_path, clip, options, message):
    with pytest.raises(UnblurError, match=message):
        average_videos(clip, tmp_path / "out", FIVE, **options)
    assert not (tmp_path / "out").exists()


def test_a_row_of_another_kind_is_refused(tmp_path, clip):
    row = average_videos(clip, tmp_path / "out", FIVE, stride=5).rows[0]
    with pytest.raises(UnblurError, match="of the kind 'shake'"):
        remake_average(replace(row, kind="shake"), Path())


def test_a_row_that_does_not_tell_its_exposure_is_one_line(tmp_path, clip):
    row = average_videos(clip, tmp_path / "out", FIVE, stride=5).rows[0]
    for name in ("first_frame", "frames", "interpolate", "gamma"):
        lacking = replace(row, parameters={key: value for key, value in row.parameters.items() if key != name})
        for read in (remake_average, exposed_frames):
            with pytest.raises(UnblurError, match=f"clip_000002: its row does not tell {name}; run `unblur data aver"):
                read(lacking, clip.parent)
    with pytest.raises(UnblurError, match="does not tell first_frame"):
        remake_average(replace(row, parameters={**row.parameters, "first_frame": "0"}), clip.parent)


def test_imported_as_pairs_a_video_lies_in_one_split(tmp_path, make_video, make_photo):
    wide = make_photo(48, 160)
    (tmp_path / "clips").mkdir()
    for name in "abcd":
        make_video(tmp_path / f"clips/{name}.mkv", [wide[:, 2 * index : 2 * index + 64] for index in range(9)])
    rows = average_videos(tmp_path / "clips", tmp_path / "out", FrameAveraging(3), stride=3).rows
    dataset = import_dataset(LAYOUTS["pairs"], tmp_path / "out", hold_out=0.25)
    assert len(dataset.rows) == len(rows) == 12
    splits = {row.scene: {other.split for other in dataset.rows if other.scene == row.scene} for row in dataset.rows}
    assert sorted(splits) == ["a", "b", "c", "d"]
    assert sorted(split for found in splits.values() for split in found) == ["test", "train", "train", "val"]
