"""The whole way on real services (PostgreSQL, S3, MLflow's server), which ops/stack.sh starts; and one of them away."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import numpy as np
import pytest
from omegaconf import OmegaConf

from unblur.config.tracking import tracking_client
from unblur.data.images import read_rgb, write_png
from unblur.registry.ledger import read_ledger
from unblur.registry.register import register
from unblur.registry.versions import read_aliases
from unblur.runtimes.restorer import load_restorer

STACK = Path(__file__).parents[2] / "ops" / "stack.sh"


def shell(lines: str, folder: Path, code: int = 0) -> str:
    """Run lines of a shell that stops at the first error; return what they say."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{lines}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def one_line(said: str) -> str:
    """Return the only line that tells an error."""
    (line,) = [line for line in said.splitlines() if "error" in line.lower()]
    assert "Traceback" not in said
    assert "unexpected" not in said
    return line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected start, stop, status or check"),
        (["begin"], "expected start, stop, status or check"),
        (["start", "mysql"], "'mysql': expected --folder DIR, or one of postgresql objects mlflow"),
        (["status", "--folder", "{empty}"], "nothing is started in {empty}"),
        (["start", "--folder", "{full}"], "{full} holds other things"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(arguments, told, tmp_path):
    places = {"empty": str(tmp_path / "empty"), "full": str(tmp_path)}
    (tmp_path / "mine.txt").write_text("mine")
    command = [STACK, *(each.format(**places) for each in arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {told.format(**places)}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_a_stop_of_nothing_removes_nothing(tmp_path):
    (tmp_path / "database").mkdir()
    subprocess.run([STACK, "stop", "--folder", tmp_path], check=True)
    assert (tmp_path / "database").is_dir()


@pytest.mark.services
@pytest.mark.pipeline
@pytest.mark.slow
def test_register_to_rollback_by_commands(project, on_stack, tmp_path):
    project.cfg.registry.model_name = project.cfg.registry.experiment = "by-commands"
    OmegaConf.save(OmegaConf.structured(project.cfg), project.root / "artifacts/config/pipeline.yaml")
    blurred = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    write_png(tmp_path / "blurred.png", blurred)
    begin = f'eval "$({STACK} start --folder {on_stack.folder})"\n'
    judge = """
    unblur register --config artifacts/config/pipeline.yaml
    unblur gate --config artifacts/config/pipeline.yaml
    """
    project.export(0.8)
    shell(f"{begin}{judge} unblur promote --name by-commands --expect-champion none", project.root)
    sha256 = project.export(0.8 + 1e-4)
    shell(
        f"""{begin}{judge}
        unblur promote --name by-commands --expect-champion 1
        unblur restore blurred.png restored.png --model models:/by-commands@champion
        unblur rollback --name by-commands --expect-champion 2
        """,
        project.root,
    )
    client = tracking_client()
    assert read_aliases(client, "by-commands") == {"candidate": 2, "champion": 1}
    assert [line.action for line in read_ledger(client, "by-commands")] == ["promote", "promote", "rollback"]

    # what was restored is the work of version 2, by its file in the bucket
    export = project.root / "artifacts/export/trained/model.onnx"
    batch = np.moveaxis(blurred, -1, 0)[None].astype(np.float32) / 255
    expected = np.moveaxis(load_restorer(export, threads=1)(batch)[0], 0, -1).clip(0, 1) * 255
    assert np.abs(read_rgb(tmp_path / "restored.png") - expected).max() < 1
    objects = boto3.client("s3").list_objects_v2(Bucket="mlflow")["Contents"]
    stored = [
        each["Key"] for each in objects if each["Key"].endswith("model.onnx") and each["Size"] == export.stat().st_size
    ]
    assert stored
    assert load_restorer("models:/by-commands/2", threads=1).sha256 == sha256

    import psycopg

    with psycopg.connect(f"{on_stack.environment['UNBLUR_STACK_DATABASE']}/mlflow") as connection:
        rows = connection.execute("SELECT version FROM model_versions WHERE name = 'by-commands' ORDER BY version")
        assert [row[0] for row in rows] == [1, 2]


@pytest.mark.services
@pytest.mark.pipeline
@pytest.mark.slow
def test_dvc_pushes_to_the_bucket_and_a_clone_pulls_data_and_run_cache(on_stack, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "data").mkdir(parents=True)
    for name, size in (("a.png", 100), ("b.png", 5), ("large.bin", 6_000_000)):
        (first / "data" / name).write_bytes(np.random.default_rng(size).bytes(size))
    (first / "dvc.yaml").write_text(
        "stages:\n  count:\n    cmd: wc -c data/* > out.txt && date +%N >> out.txt\n"
        "    deps: [data]\n    outs: [out.txt]\n"
    )
    who = "git -c user.name=a -c user.email=a@b"
    shell(
        f"""git init -q && dvc init -q
        dvc remote add -q -d store $UNBLUR_STACK_BUCKET/pushed
        dvc add -q data && dvc repro -q
        git add -A && {who} commit -q -m one
        dvc push -q --run-cache
        git clone -q . {second}""",
        first,
    )
    assert not (second / "data").exists()
    shell("dvc pull -q --run-cache", second)
    for path in sorted((first / "data").iterdir()):
        assert (second / "data" / path.name).read_bytes() == path.read_bytes()
    made = (first / "out.txt").read_text()
    assert (second / "out.txt").read_text() == made
    shell("rm dvc.lock out.txt", second)
    assert "is cached - skipping run" in shell("dvc repro", second)
    assert (second / "out.txt").read_text() == made  # with the moment of the first run in it


@pytest.mark.services
@pytest.mark.pipeline
@pytest.mark.slow
def test_without_the_object_store_each_is_one_line_and_goes_on_when_it_is_back(project, on_stack, tmp_path):
    project.cfg.registry.model_name = project.cfg.registry.experiment = "no-objects"
    OmegaConf.save(OmegaConf.structured(project.cfg), project.root / "artifacts/config/pipeline.yaml")
    project.export(0.8)
    register(project.cfg, project.root)
    project.export(0.7)
    repository = tmp_path / "repository"
    (repository / "data").mkdir(parents=True)
    write_png(repository / "data" / "a.png", np.zeros((16, 16, 3), np.uint8))
    shell(
        "git init -q && dvc init -q && dvc remote add -q -d store $UNBLUR_STACK_BUCKET/down && dvc add -q data",
        repository,
    )
    on_stack.call("stop", "objects")
    try:
        address = on_stack.environment["MLFLOW_TRACKING_URI"]
        said = shell("unblur register --config artifacts/config/pipeline.yaml", project.root, code=1)
        assert one_line(said).startswith(f"error: {address}: the store, or where it keeps its files, does not answer")
        said = shell("unblur restore data out --model models:/no-objects@candidate", repository, code=1)
        assert one_line(said).startswith("error: models:/no-objects@candidate: ")
        assert not (repository / "out").exists()
        said = shell("dvc push", repository, code=255)
        assert f'Could not connect to the endpoint URL: "{on_stack.environment["AWS_ENDPOINT_URL"]}/dvc' in said
        assert "Traceback" not in said
    finally:
        on_stack.call("start", "objects")
    client = tracking_client()
    assert len(client.search_model_versions("name = 'no-objects'")) == 1
    assert read_aliases(client, "no-objects") == {"candidate": 1}
    assert register(project.cfg, project.root).version.number == 2
    assert "pushed" in shell("dvc push", repository)
