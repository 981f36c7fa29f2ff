import os

import numpy as np
import pytest
from PIL import Image

from unblur.errors import UnblurError, UsageError
from unblur.restoring.folder import comparison_path, find_photos, plan_jobs, restore_job


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


def test_names_and_tree_are_kept(photos, tmp_path):
    jobs = plan_jobs(photos, tmp_path / "out")
    assert [job.target for job in jobs] == [tmp_path / "out/a/b/two.jpg", tmp_path / "out/one.PNG"]
    assert not any(job.done for job in jobs)


def test_an_output_folder_inside_the_input_is_not_read(photos, make_photo):
    (photos / "restored").mkdir()
    Image.fromarray(make_photo(8, 8)).save(photos / "one.PNG.compare.png")
    Image.fromarray(make_photo(8, 8)).save(photos / "restored/old.png")
    assert len(find_photos(photos)) == 3
    assert len(plan_jobs(photos, photos / "restored")) == 2


def test_what_is_newer_is_done(photos, tmp_path):
    target = tmp_path / "out/one.PNG"
    target.parent.mkdir()
    target.write_bytes(b"x")
    assert [job.done for job in plan_jobs(photos, tmp_path / "out")] == [False, True]
    assert not any(job.done for job in plan_jobs(photos, tmp_path / "out", overwrite=True))
    os.utime(target, (1, 1))
    assert not any(job.done for job in plan_jobs(photos, tmp_path / "out"))


def test_the_input_is_never_written(photos, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(photos)
    for source, target in ((photos, photos), (photos, link), (photos / "one.PNG", photos), (photos / "one.PNG",) * 2):
        with pytest.raises(UsageError, match="would overwrite the photograph itself"):
            plan_jobs(source, target, overwrite=True)


def test_a_file_goes_to_a_file_or_into_a_folder(photos, tmp_path):
    source = photos / "one.PNG"
    assert plan_jobs(source, tmp_path / "x.webp")[0].target == tmp_path / "x.webp"
    assert plan_jobs(source, tmp_path / "new")[0].target == tmp_path / "new/one.PNG"
    assert plan_jobs(source, tmp_path)[0].target == tmp_path / "one.PNG"
    with pytest.raises(UsageError, match=r"\.heic is no format"):
        plan_jobs(source, tmp_path / "x.heic")


def test_places_that_do_not_fit(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnblurError, match="has no photographs"):
        plan_jobs(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(UnblurError, match="no such file or folder"):
        plan_jobs(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UsageError, match="is a file, but"):
        plan_jobs(photos, photos / "one.PNG")


def test_a_job_restores_compares_and_reports(photos, tmp_path):
    job = plan_jobs(photos / "one.PNG", tmp_path / "x.png")[0]
    outcome = restore_job(lambda batch: 1 - batch, job, compare=True)
    assert (outcome.error, outcome.megapixels) == (None, 32 * 48 / 1e6)
    np.testing.assert_array_equal(np.asarray(Image.open(job.target)), 255 - np.asarray(Image.open(job.source)))
    assert Image.open(comparison_path(job.target)).size == (2 * 48 + 8, 32)


def test_what_goes_wrong_becomes_a_line_and_leaves_nothing_behind(photos, tmp_path):
    def nan(batch):
        return batch * np.float32("nan")

    def exhausted(batch):
        raise MemoryError

    job = plan_jobs(photos / "one.PNG", tmp_path / "out/x.png")[0]
    assert restore_job(nan, job).error.startswith(f"{job.source}: the tile at row 0, column 0: ")
    assert "not enough memory" in restore_job(exhausted, job).error
    assert "at most 0.0" in restore_job(lambda batch: batch, job, max_pixels=100).error
    assert not job.target.exists()
    (tmp_path / "file").write_text("x")
    blocked = plan_jobs(photos / "one.PNG", tmp_path / "file/x.png")[0]
    assert "cannot be written" in restore_job(lambda batch: batch, blocked).error
    with pytest.raises(UsageError):
        restore_job(lambda batch: batch, job, tile=10, overlap=9)
