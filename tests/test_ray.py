"""Photographs restored by Ray, an archive and over HTTP: the same files as without it, whatever its processes do.

All is in one file, as starting Ray takes most of the time.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import yaml
from fastapi.testclient import TestClient
from PIL import Image

from unblur.commands.serve import app_of, parse
from unblur.commands.serve_ray import application
from unblur.errors import UnblurError, UsageError
from unblur.library.on_ray import Loading, cluster, restore_on_ray, sharing
from unblur.models.loading import load_chosen
from unblur.restoring.folder import Making, Outcome, outstanding, plan_jobs, restore_job

ROOT = Path(__file__).parents[1]
CHOICES = {"runtime": "onnxruntime", "precision": "auto", "device": None, "threads": 1}


@pytest.fixture(scope="module")
def address():
    """Where Ray listens that has been started on this machine."""
    with cluster():
        import ray

        yield ray.get_runtime_context().gcs_address


@pytest.fixture
def archive(tmp_path, make_photo):
    """A folder of five photographs in two folders, `poison.png` alone 77 pixels wide."""
    for index, name in enumerate(("a.png", "b.jpg", "deep/c.webp", "deep/d.tif", "poison.png")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_photo(60, 77 if "poison" in name else 90, index)).save(path)
    return tmp_path / "in"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def restore(*arguments, cwd):
    command = [sys.executable, "-m", "unblur.commands.restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.slow
def test_the_command_writes_what_it_writes_alone_and_goes_on_where_it_stopped(address, archive, box_onnx, tmp_path):
    model = box_onnx()
    whole = (archive / "b.jpg").read_bytes()
    (archive / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    usual = ("in", "--model", model, "--compare", "--runtime", "onnxruntime", "--threads", 1)
    on_ray = ("in", "ray", *usual[1:], "--engine", "ray", "--ray-address", address, "--ray-workers", 2)
    alone = restore("in", "alone", *usual[1:], cwd=tmp_path)
    done = restore(*on_ray, cwd=tmp_path)
    assert (alone.returncode, done.returncode) == (1, 1), done.stderr
    assert done.stderr == alone.stderr  # the line about cut.jpg
    assert done.stderr.startswith("error: in/cut.jpg: truncated")
    assert len(contents(tmp_path / "ray")) == 10
    assert contents(tmp_path / "ray") == contents(tmp_path / "alone")

    (archive / "cut.jpg").write_bytes(whole)
    (tmp_path / "ray/a.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "ray").rglob("[!.]*.*")}
    again = restore(*on_ray, cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert "done already │     4" in again.stdout
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"a.png.compare.png"}
    assert (tmp_path / "ray/a.png").read_bytes() == (tmp_path / "alone/a.png").read_bytes()


@pytest.mark.slow
def test_a_photograph_that_its_process_dies_of_is_a_line_and_the_rest_goes_on(address, archive, box_onnx, tmp_path):
    def deadly(pixels, answer):
        if pixels.shape[1] == 77:
            os.kill(os.getpid(), signal.SIGSEGV)

    model = str(box_onnx())
    restorer = load_chosen(model, 1, runtime="onnxruntime")
    jobs, _ = plan_jobs([archive], tmp_path / "out")
    work = {"making": Making.by(restorer, {}), "compare": False, "max_pixels": 10**6}
    loading = Loading(model, restorer.sha256, CHOICES)
    outcomes = list(restore_on_ray(jobs, loading, {**work, "observe": deadly}, workers=2))
    assert sorted(outcome.job.source.name for outcome in outcomes) == [
        "a.png",
        "b.jpg",
        "c.webp",
        "d.tif",
        "poison.png",
    ]
    errors = [outcome for outcome in outcomes if outcome.error]
    assert [outcome.error.partition(";")[0] for outcome in errors] == [
        f"{archive / 'poison.png'}: 2 processes have died of it"
    ]
    assert len(contents(tmp_path / "out")) == 4

    todo = [job for job in outstanding(jobs, work["making"]) if not job.done]
    assert [job.source.name for job in todo] == ["poison.png"]
    (outcome,) = restore_on_ray(todo, loading, work, workers=2)
    expected = restore_job(restorer, plan_jobs([archive / "poison.png"], tmp_path / "alone.png")[0][0])
    assert isinstance(outcome, Outcome)
    assert (outcome.error, expected.error) == (None, None)
    assert np.array_equal(Image.open(tmp_path / "out/poison.png"), Image.open(tmp_path / "alone.png"))
    assert all(job.done for job in outstanding(jobs, work["making"]))


@pytest.mark.slow
def test_a_worker_that_would_restore_otherwise_is_refused(address, archive, box_onnx, tmp_path):
    model = str(box_onnx())
    jobs, _ = plan_jobs([archive], tmp_path / "out")
    with pytest.raises(UnblurError, match="install the same unblur on every machine"):
        list(restore_on_ray(jobs, Loading(model, "0" * 64, CHOICES), {"max_pixels": 10**6}, workers=1))


def test_an_address_where_no_ray_is_is_one_line():
    for wrong, said in {"127.0.0.1:1": "nobody listens there", "auto": "expected HOST:PORT"}.items():
        with pytest.raises(UnblurError, match=said), cluster(wrong):
            pass


@pytest.mark.slow
def test_processors_are_shared_out(address):
    import ray

    cpus = int(ray.cluster_resources()["CPU"])
    assert sharing(None, None) == (max(1, cpus // 4), min(cpus, cpus // max(1, cpus // 4)))
    assert sharing(2, None) == (2, max(1, cpus // 2))
    assert sharing(3, 2) == (3, 2)
    assert sharing(None, 1) == (cpus, 1)


def ask(address, body=None):
    """Return status, headers and content of what Ray Serve answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def deployment(box_onnx, tmp_path, port):
    """Write ops/ray_serve.yaml down with another port and model, and return its path and options."""
    content = yaml.safe_load((ROOT / "ops/ray_serve.yaml").read_text())
    content["http_options"]["port"] = port
    arguments = content["applications"][0]["args"]
    arguments["options"] += f" --model {box_onnx()} --max-megapixels 0.01"
    path = tmp_path / "ray_serve.yaml"
    path.write_text(yaml.safe_dump(content))
    return path, arguments["options"]


@pytest.mark.services
def test_two_replicas_answer_as_the_server_does(address, box_onnx, make_photo, tmp_path):
    from ray import serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path, options = deployment(box_onnx, tmp_path, port)
    command = [Path(sys.executable).with_name("serve"), "run", "--address", address, path]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            at = f"http://127.0.0.1:{port}"
            while (found := serve.status().applications.get("unblur")) is None or found.status != "RUNNING":
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.5)
            assert found.deployments["unblur"].replica_states == {"RUNNING": 2}
            stream = io.BytesIO()
            Image.fromarray(make_photo(60, 90)).save(stream, "PNG")
            large = io.BytesIO()
            Image.fromarray(make_photo(120, 120)).save(large, "PNG")
            with TestClient(app_of(parse(options.split()))) as client:
                for content in (stream.getvalue(), b"no photograph", large.getvalue()):
                    expected = client.post("/v1/restore", content=content)
                    for _ in range(4):  # by either replica
                        status, headers, answer = ask(f"{at}/v1/restore", content)
                        assert (status, answer) == (expected.status_code, expected.content)
                    assert headers.get("x-unblur-sha256") == expected.headers.get("x-unblur-sha256")
                    assert headers["content-security-policy"] == expected.headers["content-security-policy"]
                status, _, answer = ask(f"{at}/readyz")
                assert (status, json.loads(answer)) == (200, client.get("/readyz").json())
            for path in ("v1/jobs", "v1/explain?at=30,30"):  # another replica would be asked for them
                status, _, answer = ask(f"{at}/{path}", stream.getvalue())
                assert status == 404
                assert "takes no jobs" in json.loads(answer)["error"]
        finally:
            process.terminate()  # SIGINT is ignored where the tests run in the background
            process.wait(60)


def test_options_that_ray_serve_has_its_own_words_for_are_refused():
    told = "not with Ray Serve: --port .its file says that: see ops/ray_serve.yaml., --shadow .several replicas cannot"
    with pytest.raises(UsageError, match=told):
        application({"options": "--port 8001 --shadow box"})
    for option in ("--grpc-port 8002", "--jobs 3", "--keep-results 60", "--statistics folder"):
        with pytest.raises(UsageError, match=r"see docs/serving\.md"):
            application({"options": option})


@pytest.mark.slow
def test_objects_of_a_bucket_become_what_files_become(bucket, archive, box_onnx, tmp_path):
    import boto3

    del bucket  # the server, whose address this Ray has from the environment
    client = boto3.client("s3")
    (archive / "cut.jpg").write_bytes((archive / "b.jpg").read_bytes()[:900])
    for path in archive.rglob("*.*"):
        client.upload_file(str(path), "shelf", str(path.relative_to(tmp_path)))
    usual = ("--model", box_onnx(), "--runtime", "onnxruntime", "--threads", 1, "--compare")
    alone = restore("in", "alone", *usual, cwd=tmp_path)
    done = restore("s3://shelf/in", "s3://shelf/out", *usual, "--engine", "ray", "--ray-workers", 2, cwd=tmp_path)
    assert (alone.returncode, done.returncode) == (1, 1), done.stderr
    assert done.stderr == alone.stderr.replace("in/", "s3://shelf/in/")
    stored = {each["Key"] for each in client.list_objects_v2(Bucket="shelf", Prefix="out/")["Contents"]}
    expected = contents(tmp_path / "alone")
    assert len(expected) == 10
    assert stored == {f"out/{name}" for name in expected}
    for name, content in expected.items():
        assert client.get_object(Bucket="shelf", Key=f"out/{name}")["Body"].read() == content
    (archive / "cut.jpg").write_bytes((archive / "b.jpg").read_bytes())
    client.upload_file(str(archive / "cut.jpg"), "shelf", "in/cut.jpg")
    again = restore("s3://shelf/in", "s3://shelf/out", *usual, cwd=tmp_path)  # by this process alone
    assert (again.returncode, again.stderr) == (0, "")
    assert "done already │     5" in again.stdout
