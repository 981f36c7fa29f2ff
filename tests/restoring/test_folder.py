import errno
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from unblur.errors import BrokenModelError, UnblurError, UsageError
from unblur.images.header import MAX_BYTES, check_image_header
from unblur.restoring.answer import NOTHING_TO_GAIN
from unblur.restoring.folder import (
    Making,
    comparison_path,
    outstanding,
    plan_jobs,
    require_place,
    restore_job,
)
from unblur.restoring.found import find_photos, shown
from unblur.runtimes.reduced import ReducedRestorer
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import folds_names


@pytest.fixture
def photos(tmp_path, make_photo):
    """A tree with two photographs, a text file and hidden files."""
    root = tmp_path / "in"
    (root / "a" / "b").mkdir(parents=True)
    (root / ".thumbnails").mkdir()
    for name in ("one.PNG", "a/b/two.jpg", ".thumbnails/one.png", ".hidden.png"):
        Image.fromarray(make_photo(32, 48)).save(root / name)
    (root / "notes.txt").write_text("x")
    return root


def write(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 48, 3), dtype=np.uint8)).save(path)
    return path


def test_names_and_tree_are_kept_and_the_rest_is_counted(photos, tmp_path):
    write(photos / "one.PNG.compare.png")
    (photos / "raw.CR3").touch()
    (photos / "gone.jpg").symlink_to(tmp_path / "nothing")
    jobs, left_out = plan_jobs([photos], tmp_path / "out")
    assert [job.target for job in jobs] == [tmp_path / "out/a/b/two.jpg", tmp_path / "out/one.PNG"]
    assert not any(job.done for job in jobs)
    assert shown(left_out) == ("1 .cr3, 1 .txt, 1 before/after pictures, 2 hidden, 1 links to folders or to nothing")


def test_a_loop_of_links_is_left_out_and_as_a_target_no_accident(photos, tmp_path):
    (photos / "b").symlink_to("c")
    (photos / "c").symlink_to("b")
    jobs, left_out = plan_jobs([photos], tmp_path / "out")
    assert len(jobs) == 2
    assert left_out["links to folders or to nothing"] == 2
    (tmp_path / "out").mkdir()
    (tmp_path / "out/one.PNG").symlink_to("one.PNG")
    assert [job.source for job in plan_jobs([photos], tmp_path / "out")[0]] == [job.source for job in jobs]
    assert find_photos(photos, leave_out=photos / "b")[0] == [job.source for job in jobs]


def test_an_output_folder_inside_the_input_is_not_read(photos):
    write(photos / "restored/old.png")
    assert len(find_photos(photos)[0]) == 3
    jobs, left_out = plan_jobs([photos], photos / "restored")
    assert len(jobs) == 2
    assert shown(left_out) == "1 .txt, 2 hidden"


def test_an_output_folder_around_the_input_leaves_nothing_out(photos, tmp_path):
    for target in (tmp_path, photos / ".."):
        jobs, _ = plan_jobs([photos], target)
        assert [job.source.name for job in jobs] == ["two.jpg", "one.PNG"]


def test_before_and_after_pictures_are_written_onto_nothing(photos, tmp_path):
    one, named = photos / "one.PNG", write(photos / "one.PNG.compare.png")
    with pytest.raises(UnblurError, match=r"would both be written to .*one\.PNG\.compare\.png"):
        plan_jobs([one, named], tmp_path / "out", compare=True)
    assert len(plan_jobs([one, named], tmp_path / "out")[0]) == 2
    with pytest.raises(UsageError, match="would overwrite the photograph itself"):
        plan_jobs([named], photos / "one.PNG", compare=True)


def test_two_ways_to_one_file_are_one_target(photos, tmp_path):
    write(photos / "link/two.jpg")
    (tmp_path / "out/a/b").mkdir(parents=True)
    (tmp_path / "out/link").symlink_to("a/b")
    with pytest.raises(UnblurError, match=r"a/b/two\.jpg and .*link/two\.jpg would both be written"):
        plan_jobs([photos], tmp_path / "out")


@pytest.mark.parametrize("twin", ["ONE.png", "one.png"])
def test_names_that_a_disk_takes_for_one(photos, tmp_path, monkeypatch, twin):
    write(photos / twin)
    assert len(plan_jobs([photos], tmp_path / "out")[0]) == 3
    assert not folds_names(tmp_path)
    assert list(tmp_path.iterdir()) == [photos]
    monkeypatch.setattr("unblur.restoring.folder.folds_names", lambda folder: True)
    with pytest.raises(UnblurError, match=r"the same file as .* there; rename one"):
        plan_jobs([photos], tmp_path / "out")


def test_what_can_be_read_once_is_no_photograph(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnblurError, match=r"pipe\.png: is neither a file nor a folder"):
        plan_jobs([tmp_path / "pipe.png"], tmp_path / "out")


def test_done_is_what_was_made_of_the_same_with_the_same(photos, tmp_path):
    making = Making("a" * 64, {"tile": 512, "sizes": (1, 2)})

    def run(making=making, compare=False):
        jobs = outstanding(plan_jobs([photos], tmp_path / "out")[0], making, compare=compare)
        for job in jobs:
            if not job.done:
                assert restore_job(lambda batch: 1 - batch, job, making=making, compare=compare).error is None
        return [job.target.name for job in jobs if not job.done]

    assert run() == ["two.jpg", "one.PNG"]
    assert run() == []
    os.utime(photos / "one.PNG", (2e9, 2e9))
    assert run() == []  # time alone says nothing
    write(photos / "one.PNG", seed=1)
    os.utime(photos / "one.PNG", (1, 1))
    assert run() == ["one.PNG"]
    assert run(Making("b" * 64, making.options)) == ["two.jpg", "one.PNG"]
    assert run(Making("b" * 64, {"tile": 256})) == ["two.jpg", "one.PNG"]
    assert run(Making("b" * 64, {"tile": 256}), compare=True) == ["two.jpg", "one.PNG"]
    assert run(Making("b" * 64, {"tile": 256}), compare=True) == []


def test_one_file_at_two_resolutions_makes_two_things():
    class Restorer:
        name, sha256, task = "m", "a" * 64, "image"

    whole, reduced, other = (
        Making.by(each, {}) for each in (Restorer(), *(ReducedRestorer(Restorer(), n) for n in (2, 4)))
    )
    assert whole == Making("a" * 64, {})
    assert len({str(making) for making in (whole, reduced, other)}) == 3


def test_what_unblur_did_not_write_is_not_overwritten(photos, tmp_path):
    making = Making("a" * 64, {})
    write(tmp_path / "out/one.PNG", seed=5)
    os.utime(tmp_path / "out/one.PNG", (1, 1))
    jobs, _ = plan_jobs([photos], tmp_path / "out")
    with pytest.raises(UnblurError, match=r"out/one\.PNG: is there already, .*--overwrite"):
        outstanding(jobs, making)
    assert not any(job.done for job in outstanding(jobs, making, overwrite=True))


def test_a_photograph_that_may_not_be_read_fails_alone_and_by_its_name(photos, tmp_path, monkeypatch):
    making = Making("a" * 64, {})
    jobs, _ = plan_jobs([photos], tmp_path / "out")
    one = next(job for job in jobs if job.source.name == "one.PNG")
    assert restore_job(lambda batch: batch, one, making=making).error is None

    def of(path):
        if path == one.source:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return sha256_file(path)

    monkeypatch.setattr("unblur.restoring.folder.sha256_file", of)
    assert outstanding(jobs, making) == jobs  # none is done: `one` is there, but nobody knows of what it is made
    assert restore_job(lambda batch: batch, one, making=making).error == (
        f"{one.source}: no permission to read it; change its owner or mode"
    )


def test_a_restored_photograph_that_somebody_changed_is_kept(photos, tmp_path):
    making = Making("a" * 64, {})
    job = plan_jobs([photos / "one.PNG"], tmp_path / "x.png")[0][0]
    restore_job(lambda batch: batch, job, making=making)
    write(job.target, seed=9)
    assert outstanding([job], making)[0].done
    with pytest.raises(UnblurError, match="changed since"):
        outstanding([job], Making("b" * 64, {}))


def test_the_input_is_never_written(photos, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(photos)
    for source, target in ((photos, photos), (photos, link), (photos / "one.PNG", photos), (photos / "one.PNG",) * 2):
        with pytest.raises(UsageError, match="would overwrite the photograph itself"):
            plan_jobs([source], target)
    other = write(tmp_path / "other/one.PNG")
    with pytest.raises(UsageError, match="would overwrite the photograph itself"):
        plan_jobs([photos / "one.PNG", other], tmp_path / "other")


def test_a_file_goes_to_a_file_or_into_a_folder(photos, tmp_path):
    source = photos / "one.PNG"

    def goes(target, into=False):
        return plan_jobs([source], tmp_path / target, into)[0][0].target.relative_to(tmp_path).as_posix()

    assert goes("x.webp") == "x.webp"
    assert goes("new") == "new/one.PNG"
    assert goes(".") == "one.PNG"
    assert goes("v1.5") == "v1.5/one.PNG"
    assert goes("new.png", into=True) == "new.png/one.PNG"
    with pytest.raises(UsageError, match=r"\.cr3 is no format"):
        goes("x.cr3")


def test_several_files_go_into_a_folder_and_never_onto_each_other(photos, tmp_path):
    one, two, notes = photos / "one.PNG", photos / "a/b/two.jpg", photos / "notes.txt"
    jobs, left_out = plan_jobs([one, two, notes, one], tmp_path / "out")
    assert [job.target for job in jobs] == [tmp_path / "out/one.PNG", tmp_path / "out/two.jpg"]
    assert shown(left_out) == "1 .txt"
    for last in (two, tmp_path / "new.jpg"):
        with pytest.raises(UsageError, match="name a folder to write to at the end"):
            plan_jobs([one, two], last)
    other = write(tmp_path / "other/one.PNG")
    with pytest.raises(UnblurError, match=rf"{one} and {other} would both be written to {tmp_path}/out/one\.PNG"):
        plan_jobs([one, other], tmp_path / "out")
    both = write(photos / "one.jpg")
    assert len({job.target for job in plan_jobs([one, both], tmp_path / "out")[0]}) == 2


def test_a_link_stays_and_what_it_leads_to_is_written(photos, tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "disk.png")
    job = plan_jobs([photos / "one.PNG"], tmp_path / "link.png")[0][0]
    restore_job(lambda batch: batch, job)
    assert (tmp_path / "link.png").is_symlink()
    assert Image.open(tmp_path / "disk.png").size == (48, 32)
    job = plan_jobs([photos / "one.PNG"], tmp_path / "link.png")[0][0]
    with pytest.raises(UnblurError, match=r"disk\.png: is there already"):
        outstanding([job], Making("a" * 64, {}))


@pytest.mark.parametrize("name", ["a" * 246 + ".png", "\N{CJK UNIFIED IDEOGRAPH-5199}" * 80 + ".png"])
def test_the_longest_names_are_written(photos, tmp_path, name):
    source = write(tmp_path / "long" / name)
    job = plan_jobs([source], tmp_path / "out")[0][0]
    assert restore_job(lambda batch: batch, job, compare=True, making=Making("a" * 64, {})).error is None
    assert (tmp_path / "out" / name).is_file()
    assert comparison_path(job.target).is_file()


def test_places_that_do_not_fit(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnblurError, match="has no photographs"):
        plan_jobs([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UnblurError, match="no such file or folder"):
        plan_jobs([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(UsageError, match="is a file, but"):
        plan_jobs([photos], photos / "one.PNG")
    (tmp_path / "empty/a.cr3").touch()
    with pytest.raises(UnblurError, match=r"there are only 1 \.cr3"):
        plan_jobs([tmp_path / "empty"], tmp_path / "out")


def test_a_place_that_cannot_be_written_is_told_before_the_work(photos, tmp_path):
    jobs, _ = plan_jobs([photos], tmp_path / "out")
    require_place(jobs)
    assert [path.name for path in tmp_path.iterdir() if path != photos] == ["out"]
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "file").touch()
    blocked, _ = plan_jobs([photos], tmp_path / "file/out")
    with pytest.raises(UnblurError, match=r"file/out: a file is where a folder is expected; give another folder"):
        require_place(blocked)
    require_place([replace(job, done=True) for job in blocked])


def test_a_job_restores_compares_and_reports(photos, tmp_path):
    job = plan_jobs([photos / "one.PNG"], tmp_path / "x.png")[0][0]
    outcome = restore_job(lambda batch: 1 - batch, job, compare=True, guard=False)
    assert (outcome.error, outcome.megapixels) == (None, 32 * 48 / 1e6)
    np.testing.assert_array_equal(np.asarray(Image.open(job.target)), 255 - np.asarray(Image.open(job.source)))
    assert Image.open(comparison_path(job.target)).size == (2 * 48 + 8, 32)


def test_a_copy_has_no_losses_to_tell_of_and_its_limit_is_the_one_given(photos, tmp_path, monkeypatch):
    pages = [Image.fromarray(np.full((32, 48, 3), grey, np.uint8)) for grey in (60, 200)]
    turned = Image.Exif()
    turned[0x0112] = 6
    pages[0].save(photos / "pages.tif", save_all=True, append_images=pages[1:], exif=turned)
    job = plan_jobs([photos / "pages.tif"], tmp_path / "pages.tif")[0][0]
    monkeypatch.setattr(
        check_image_header, "__defaults__", (100, MAX_BYTES)
    )  # as of a photograph above the usual limit
    outcome = restore_job(lambda batch: batch, job, strength=None, max_pixels=32 * 48)
    assert (outcome.error, outcome.notes) == (None, (NOTHING_TO_GAIN,))
    assert job.target.read_bytes() == job.source.read_bytes()
    whole = restore_job(lambda batch: 1 - batch, replace(job, target=tmp_path / "whole.tif"), max_pixels=32 * 48)
    assert whole.notes[0] == "has 2 frames, only the first is kept"


def test_what_goes_wrong_becomes_a_line_and_leaves_nothing_behind(photos, tmp_path):
    def nan(batch):
        return batch * np.float32("nan")

    def exhausted(batch):
        raise MemoryError

    job = plan_jobs([photos / "one.PNG"], tmp_path / "out/x.png")[0][0]
    assert "the model returned values that are not finite" in restore_job(nan, job).error
    assert restore_job(nan, job, guard=False).error.startswith(f"{job.source}: the tile at row 0, column 0: ")
    assert "not enough memory" in restore_job(exhausted, job).error
    assert restore_job(exhausted, job).of_machine
    assert not restore_job(nan, job).of_machine
    assert "at most 0.0" in restore_job(lambda batch: batch, job, max_pixels=100).error
    assert not job.target.exists()
    (tmp_path / "file").write_text("x")
    blocked = plan_jobs([photos / "one.PNG"], tmp_path / "file/x.png")[0][0]
    assert "cannot be written" in restore_job(lambda batch: batch, blocked).error
    with pytest.raises(UsageError):
        restore_job(lambda batch: batch, job, tile=10, overlap=9)


def test_a_broken_model_is_no_single_photographs_fault(photos, tmp_path):
    def broken(batch):
        msg = "model.onnx: cannot be compiled"
        raise BrokenModelError(msg)

    job = plan_jobs([photos / "one.PNG"], tmp_path / "x.png")[0][0]
    with pytest.raises(BrokenModelError, match=r"^model\.onnx: cannot be compiled$"):
        restore_job(broken, job)
    assert not job.target.exists()
