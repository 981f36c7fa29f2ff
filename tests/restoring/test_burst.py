import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.images.photo import Photo, read_photo
from unblur.restoring.burst import check_burst_target, read_burst, restore_burst
from unblur.restoring.photo import write_photo


class Brightest:
    name, sha256, task = "brightest", "", "burst"

    def __call__(self, batch):
        return batch.max(axis=1)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.png", "c.png"):
        write_photo(Photo(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)), tmp_path / "shots" / name)
    return tmp_path / "shots"


def test_the_reference_comes_first_and_is_the_first_by_name_or_the_named(folder):
    assert read_burst(folder).reference.name == "a.png"
    burst = read_burst(folder, "c.png")
    np.testing.assert_array_equal(burst.shots[0], read_photo(folder / "c.png").pixels)
    assert len(burst.shots) == 3


def test_tiles_of_a_burst_give_what_the_whole_gives(folder):
    shots = np.stack(read_burst(folder).shots)
    whole = restore_burst(Brightest(), shots)
    np.testing.assert_array_equal(whole, shots.max(axis=0))
    np.testing.assert_array_equal(restore_burst(Brightest(), shots, tile=48, overlap=8), whole)


def test_shots_that_do_not_fit_are_named_and_left_out(folder, tmp_path):
    write_photo(Photo(np.zeros((30, 50, 3), np.uint8)), folder / "small.png")
    (folder / "zz.png").write_bytes(b"no picture")
    burst = read_burst(folder)
    assert len(burst.shots) == 3
    assert [name in fault for name, fault in zip(("small.png", "zz.png"), burst.faults, strict=True)] == [True, True]
    burst.write(restore_burst(Brightest(), np.stack(burst.shots)), tmp_path / "out.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "out.png").pixels, np.stack(burst.shots).max(axis=0))


def test_what_is_no_burst_is_refused_in_one_line(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, reference, says in (
        (folder / "a.png", None, "is no folder"),
        (tmp_path / "empty", None, "holds no photographs"),
        (folder, "d.png", "has no shot 'd.png'"),
    ):
        with pytest.raises(UnblurError, match=says):
            read_burst(source, reference)


def test_a_shot_is_never_overwritten_and_the_result_never_a_shot(folder, tmp_path):
    check_burst_target(folder, tmp_path / "new" / "out.png")
    for target, says in (
        (folder / "a.png", "lies among the shots"),
        (folder / ".." / "shots" / "out.png", "lies among the shots"),
        (tmp_path, "is a folder; name the photograph"),
        (tmp_path / "out.mp4", "no format that can be written"),
    ):
        with pytest.raises(UnblurError, match=says):
            check_burst_target(folder, target)


def test_a_link_to_a_shot_is_no_place_to_write_to(folder, tmp_path):
    (tmp_path / "link.png").symlink_to(folder / "b.png")
    with pytest.raises(UnblurError, match=r"link.png: lies among the shots"):
        check_burst_target(folder, tmp_path / "link.png")
