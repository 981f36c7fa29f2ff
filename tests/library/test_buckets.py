"""Photographs of a bucket, on an S3 server of this machine: bytes as of a folder, done once, a line for each fault."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from PIL import Image

from unblur.config.extras import told
from unblur.errors import MissingPackageError, UnblurError, UsageError
from unblur.library import buckets
from unblur.library.buckets import outstanding_objects, plan_objects, restore_object
from unblur.models.loading import load_chosen
from unblur.restoring.folder import Making, plan_jobs, restore_job

IN, OUT = "s3://shelf/photos", "s3://shelf/restored"


@pytest.fixture
def photos(tmp_path, make_photo):
    """A folder of photographs in two folders, of which `cut.jpg` is damaged."""
    for index, name in enumerate(("a.png", "b.jpg", "deep/c.webp", "deep/d e.tif", "cut.jpg")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_photo(60, 90, index)).save(path)
    path = tmp_path / "photos/cut.jpg"
    path.write_bytes(path.read_bytes()[:900])
    return tmp_path / "photos"


@pytest.fixture
def shelf(bucket, photos):
    """The same in a bucket, and its client; what else lies there is hidden, a folder's marker or no photograph."""
    del bucket  # the server
    buckets._store.cache_clear()
    client = boto3.client("s3")
    for path in photos.rglob("*.*"):
        client.upload_file(str(path), "shelf", f"photos/{path.relative_to(photos)}")
    for key in ("photos/.hidden/e.png", "photos/notes.txt", "photos/deep/"):
        client.put_object(Bucket="shelf", Key=key, Body=b"")
    yield client
    buckets._store.cache_clear()


@pytest.fixture
def restorer(box_onnx):
    return load_chosen(str(box_onnx()), 1, runtime="onnxruntime")


def stored(client, folder):
    found = client.list_objects_v2(Bucket="shelf", Prefix=f"{folder}/").get("Contents", [])
    read = {each["Key"]: client.get_object(Bucket="shelf", Key=each["Key"])["Body"].read() for each in found}
    return {key.removeprefix(f"{folder}/"): content for key, content in read.items()}


def restored_files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def restore(*arguments, cwd=None):
    command = [sys.executable, "-m", "unblur.commands.restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_objects_become_what_the_files_of_a_folder_become(shelf, photos, restorer, tmp_path):
    making = Making.by(restorer, {"tile": 512})
    jobs, left_out = plan_objects(IN, f"{OUT}/", compare=True)
    assert left_out == {"hidden": 1, ".txt": 1}
    jobs = outstanding_objects(jobs, making, OUT, compare=True)
    outcomes = [restore_object(restorer, job, compare=True, making=making) for job in jobs]
    of_files = [
        restore_job(restorer, job, compare=True) for job in plan_jobs([photos], tmp_path / "out", compare=True)[0]
    ]
    there = restored_files(tmp_path / "out")
    assert len(there) == 8
    assert stored(shelf, "restored") == there
    assert [each.notes for each in outcomes] == [each.notes for each in of_files]
    told = [each.error for each in outcomes if each.error]
    assert told == [each.error.replace(str(photos), IN) for each in of_files if each.error]
    assert told[0].startswith(f"{IN}/cut.jpg: truncated")
    assert not list(Path(buckets.tempfile.gettempdir()).glob("unblur-*/in.*"))


def test_what_is_done_stays_and_what_changed_is_done_again(shelf, photos, restorer):
    making = Making.by(restorer, {"tile": 512})

    def todo(target=OUT, making=making, **more):
        jobs = outstanding_objects(plan_objects(IN, target)[0], making, target, **more)
        return {job.source.removeprefix(f"{IN}/"): job for job in jobs if not job.done}

    first = todo()
    assert set(first) == {"a.png", "b.jpg", "cut.jpg", "deep/c.webp", "deep/d e.tif"}
    for name in ("a.png", "b.jpg", "deep/d e.tif"):
        assert restore_object(restorer, first[name], making=making).error is None
    assert set(todo()) == {"cut.jpg", "deep/c.webp"}
    assert set(todo(overwrite=True)) == set(first)
    assert set(todo(making=Making.by(restorer, {"tile": 64}))) == set(first)  # ours, so it may be replaced

    shelf.upload_file(str(photos / "b.jpg"), "shelf", "photos/a.png")  # another photograph of that name
    assert set(todo()) == {"a.png", "cut.jpg", "deep/c.webp"}
    outcome = restore_object(restorer, first["a.png"], making=making)
    assert outcome.error == f"{IN}/a.png: was changed since it was listed; run the same command again"

    shelf.put_object(Bucket="shelf", Key="restored/deep/c.webp", Body=b"somebody's")
    with pytest.raises(UnblurError, match=r"^s3://shelf/restored/deep/c\.webp: is there already, and unblur did not"):
        todo()
    assert set(todo(overwrite=True)) == set(first)
    shelf.delete_object(Bucket="shelf", Key="photos/b.jpg")
    outcome = restore_object(restorer, first["b.jpg"], making=making)
    assert outcome.error == f"{IN}/b.jpg: there is no such bucket or object"


def test_one_object_goes_where_it_is_told_and_none_onto_itself(shelf):
    (job,), _ = plan_objects(f"{IN}/a.png", "s3://shelf/one.jpg")
    assert (job.source, job.target) == (f"{IN}/a.png", "s3://shelf/one.jpg")
    (job,), _ = plan_objects(f"{IN}/a.png", f"{OUT}/one.jpg/")
    assert job.target == f"{OUT}/one.jpg/a.png"
    shelf.put_object(Bucket="shelf", Key="photos/deep/a.png", Body=b"")  # restored before
    assert {job.source for job in plan_objects(IN, f"{IN}/deep")[0]} == {
        f"{IN}/{name}" for name in ("a.png", "b.jpg", "cut.jpg")
    }
    shelf.delete_object(Bucket="shelf", Key="photos/deep/a.png")
    assert plan_objects(f"{IN}/deep", IN)[0][0].target == f"{IN}/c.webp"
    for source, target in ((IN, IN), (f"{IN}/a.png", IN), (IN, f"{IN}/")):
        with pytest.raises(UsageError, match="would overwrite the photograph itself"):
            plan_objects(source, target)


def test_what_cannot_be_asked_is_one_line(shelf, monkeypatch):
    for source, said in {
        "s3://nothing/photos": "s3://nothing/photos: there is no such bucket or object",
        "s3://shelf/nothing": "s3://shelf/nothing: there are no photographs; expected .jpg",
        "s3://shelf/photos/notes.txt": "s3://shelf/restored/notes.txt: .txt is no format that can be written",
        "s3://": "s3://: expected s3://BUCKET/FOLDER",
    }.items():
        with pytest.raises(UnblurError, match=f"^{re.escape(said)}"):
            plan_objects(source, OUT)
    shelf.put_object(Bucket="shelf", Key="clips/a.mp4", Body=b"")
    with pytest.raises(UnblurError, match=r"s3://shelf/clips: there are no .*, and there are only 1 \.mp4$"):
        plan_objects("s3://shelf/clips", OUT)
    jobs, _ = plan_objects(IN, "s3://nothing/restored")
    with pytest.raises(UnblurError, match=r"^s3://nothing/restored: there is no such bucket"):
        outstanding_objects(jobs, Making("0" * 64, {}), "s3://nothing/restored")

    for name, value, said in (
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "the object storage cannot be used"),
        ("AWS_ACCESS_KEY_ID", "", "the object storage wants a user; see AWS_ACCESS_KEY_ID or AWS_PROFILE"),
    ):
        monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        buckets._store.cache_clear()
        with pytest.raises(UnblurError, match=f"^s3://shelf/photos: {said}"):
            plan_objects(IN, OUT)


@pytest.mark.slow
def test_the_command_goes_on_where_it_stopped_and_says_what_it_cannot_do(shelf, box_onnx, photos, tmp_path):
    usual = ("--model", box_onnx(), "--runtime", "onnxruntime", "--threads", 1)
    alone = restore("photos", "alone", *usual, cwd=tmp_path)
    done = restore(IN, OUT, *usual, cwd=tmp_path)
    assert (alone.returncode, done.returncode) == (1, 1), done.stderr
    assert done.stderr == alone.stderr.replace("photos/", f"{IN}/")
    assert "left out: 1 .txt, 1 hidden" in done.stdout
    assert stored(shelf, "restored") == restored_files(tmp_path / "alone")
    again = restore(IN, OUT, *usual, "--compare", cwd=tmp_path)
    assert "done already │     0" in again.stdout
    assert f"look at {OUT}/a.png.compare.png" in " ".join(again.stdout.split())
    for arguments, code, said in (
        ((IN, "here"), 2, f"{IN}: one IN and OUT are both s3://BUCKET/FOLDER"),
        (("gs://shelf/photos", "here"), 2, "'gs://shelf/photos' is no path of this machine and in no bucket"),
    ):
        refused = restore(*arguments, *usual, cwd=tmp_path)
        assert refused.returncode == code
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr


def test_without_the_extra_one_line_names_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules, "s3fs")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "s3fs" else find(name))
    monkeypatch.setattr(sys, "meta_path", [Without(), *sys.meta_path])
    buckets._store.cache_clear()
    with pytest.raises(MissingPackageError, match=r"needs s3fs, .* pip install 'unblur\[s3\]'"), told():
        plan_objects(IN, OUT)


class Without:
    """Finds no s3fs."""

    def find_spec(self, name, path=None, target=None):
        if name == "s3fs":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
