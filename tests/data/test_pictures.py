import numpy as np
import pytest

from unblur.data.images import write_png
from unblur.data.manifest import PairRow
from unblur.data.pictures import as_planes, check_task, read_pictures, read_sides, sha256_pictures, write_pictures
from unblur.errors import UnblurError


def frames(count=3, height=5, width=7):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_a_file_is_one_picture_and_a_folder_its_frames_in_order(tmp_path):
    write_pictures(tmp_path / "clip", frames(12))
    np.testing.assert_array_equal(read_pictures(tmp_path / "clip"), frames(12))
    write_pictures(tmp_path / "one.png", frames()[0])
    np.testing.assert_array_equal(read_pictures(tmp_path / "one.png"), frames()[0])


def test_the_hash_of_a_folder_is_that_of_its_frames(tmp_path):
    for name in ("a", "b"):
        write_pictures(tmp_path / name, frames())
    assert sha256_pictures(tmp_path / "a") == sha256_pictures(tmp_path / "b")
    write_png(tmp_path / "b" / "0002.png", frames()[0])
    assert sha256_pictures(tmp_path / "a") != sha256_pictures(tmp_path / "b")


def test_planes_come_before_pixels():
    planes = as_planes(frames())
    assert planes.shape == (3, 3, 5, 7)
    assert planes[1, 2, 3, 4] == pytest.approx(frames()[1, 3, 4, 2] / 255)


def test_frames_of_several_sizes_and_none_are_refused(tmp_path):
    write_pictures(tmp_path / "clip", frames())
    write_png(tmp_path / "clip" / "0009.png", frames(1, 4, 4)[0])
    with pytest.raises(UnblurError, match="expected frames of one size"):
        read_pictures(tmp_path / "clip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnblurError, match="0 frames of no pixels"):
        read_pictures(tmp_path / "empty")


def test_pairs_of_another_task_are_told(tmp_path):
    write_pictures(tmp_path / "one.png", frames()[0])
    write_pictures(tmp_path / "many", frames())
    sides = {"image": ("one.png", "one.png"), "burst": ("many", "one.png"), "video": ("many", "many")}
    for task, (blur, sharp) in sides.items():
        row = PairRow("p", "val", "s", "s.png", blur, sharp, 0, "shake", 1.0, {}, "", "")
        check_task([row], tmp_path, task)
        for other in sides.keys() - {task}:
            with pytest.raises(UnblurError, match=f"is one for {task}, not for {other}"):
                check_task([row], tmp_path, other)


@pytest.mark.parametrize("lost", ["one.png", "many"])
def test_a_missing_side_says_how_to_make_it_again(tmp_path, lost):
    write_pictures(tmp_path / "one.png", frames()[0])
    write_pictures(tmp_path / "many", frames())
    row = PairRow("p7", "val", "s", "s.png", "many", "one.png", 0, "shake", 1.0, {}, "", "")
    assert [side.ndim for side in read_sides(row, tmp_path)] == [4, 3]
    (tmp_path / lost).rename(tmp_path / "elsewhere")
    for read in (lambda: read_sides(row, tmp_path), lambda: check_task([row], tmp_path, "burst")):
        with pytest.raises(UnblurError, match=rf"{lost}: missing, .* the pair p7; run `unblur prepare` again"):
            read()


def test_a_side_that_is_not_what_the_manifest_names_is_told(tmp_path):
    for name in ("blur.png", "sharp.png"):
        write_pictures(tmp_path / name, frames()[0])
    digest = sha256_pictures(tmp_path / "blur.png")
    row = PairRow("p", "val", "s", "s.png", "blur.png", "sharp.png", 0, "shake", 1.0, {}, digest, digest)
    read_sides(row, tmp_path)
    write_pictures(tmp_path / "sharp.png", frames()[1])
    with pytest.raises(UnblurError, match=r"sharp\.png: is not what the manifest names.*`unblur prepare` again"):
        read_sides(row, tmp_path)
