"""Registration in a real MLflow store."""

import hashlib
import importlib.metadata
import json
import shutil
from typing import Any

import numpy as np
import onnxruntime
import pytest

from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.errors import LostFileError, UnblurError
from unblur.records.chosen import Chosen, write_chosen
from unblur.records.scores import Score, read_evaluation, write_scores
from unblur.registry.register import register
from unblur.registry.versions import read_aliases
from unblur.runtimes.restorer import load_restorer
from unblur.safety.hashing import sha256_file

WEIGHTS = hashlib.sha256(b"weights").hexdigest()  # of project.py


def test_a_new_model_becomes_a_version_with_its_lineage(project: Any) -> None:
    import mlflow

    sha256 = project.export(0.8)
    done = register(project.cfg, project.root)
    assert done.created
    assert done.aliases == {"candidate": 1}
    tags = done.version.tags
    assert tags["model_sha256"] == sha256
    assert (tags["git_sha"], tags["git_dirty"], tags["data_md5"]) == (
        "a" * 40,
        "false",
        "0123456789abcdef0123456789abcdef.dir",
    )
    assert tags["config_hash"] == sha256_file(project.root / "artifacts/config/pipeline.yaml")
    assert (tags["metric_profile"], tags["test_model"], tags["test_blurred"]) == (
        "psnr/literature",
        "26.8000",
        "25.3000",
    )
    assert (tags["network"], tags["parameters"], tags["parity"]) == ("NAFNet", "1234567", "2.000e-06")

    (stored,) = (project.root / "mlartifacts").rglob("model.onnx")
    assert sha256_file(stored) == sha256  # byte for byte the exported file
    info = mlflow.models.get_model_info("models:/unblur@candidate")
    (blur,) = info.signature.inputs
    assert (blur.name, blur.shape, blur.type) == ("blur", (-1, 3, -1, -1), np.dtype("float32"))
    requirements = stored.with_name("requirements.txt").read_text().split()
    assert f"onnxruntime=={importlib.metadata.version('onnxruntime')}" in requirements

    batch = np.random.default_rng(0).random((2, 3, 9, 7), dtype=np.float32)
    restored = mlflow.pyfunc.load_model("models:/unblur@candidate").predict({"blur": batch})["restored"]
    session = onnxruntime.InferenceSession(project.root / "artifacts/export/trained/model.onnx")
    np.testing.assert_array_equal(restored, session.run(None, {"blur": batch})[0])


def test_the_same_file_is_registered_once(project: Any) -> None:
    project.export(0.8)
    first = register(project.cfg, project.root)
    again = register(project.cfg, project.root)
    assert not again.created
    assert again.version == first.version
    client = tracking_client()
    assert len(client.search_model_versions("name = 'unblur'")) == 1


def test_latencies_and_the_runtime_are_not_what_a_model_is(project: Any) -> None:
    """The benchmark, run again on the same file, has other figures; that makes no other version."""
    sha256 = project.export(0.8)
    first = register(project.cfg, project.root)
    latency = project.root / "artifacts/benchmark/latency.csv"
    latency.write_text(latency.read_text().replace("1010,9", "777,3"))
    write_chosen(
        Chosen("trained", "float", "onnxruntime", "f32", "trained/model.onnx", sha256, "", WEIGHTS, 0.002),
        project.root / "artifacts/benchmark",
    )
    again = register(project.cfg, project.root)
    assert (again.created, again.version) == (False, first.version)


def test_the_run_of_a_training_that_was_sent_later_is_found(project: Any) -> None:
    project.export(0.8)
    record = json.loads((project.root / "artifacts/train/run.json").read_text())
    project.write("artifacts/train/run.json", record | {"run_id": None, "config_hash": "c" * 64})
    client = tracking_client()
    run_id = client.create_run(ensure_experiment(client, "unblur"), tags={"config_hash": "c" * 64}).info.run_id
    assert register(project.cfg, project.root).version.run_id == run_id


@pytest.mark.parametrize("harm", ["file", "folder", "exchanged"])
def test_a_stored_file_that_is_lost_is_written_anew(project: Any, harm: str) -> None:
    import mlflow

    sha256 = project.export(0.8)
    first = register(project.cfg, project.root)
    (stored,) = (project.root / "mlartifacts").rglob("model.onnx")
    if harm == "file":
        stored.unlink()
    elif harm == "folder":
        shutil.rmtree(stored.parent)
    else:
        stored.write_bytes(b"another")
    with pytest.raises(LostFileError, match=r"models:/unblur/1: .*`unblur register`.*`unblur rollback`"):
        load_restorer("models:/unblur/1")
    again = register(project.cfg, project.root)
    assert (again.created, again.healed) == (False, True)
    assert again.version == first.version
    assert sha256_file(stored) == sha256
    batch = np.random.default_rng(0).random((2, 3, 9, 7), dtype=np.float32)
    restored = load_restorer("models:/unblur/1", 1, runtime="onnxruntime")(batch)
    pyfunc = mlflow.pyfunc.load_model("models:/unblur@candidate")
    np.testing.assert_allclose(pyfunc.predict({"blur": batch})["restored"], restored, atol=1e-5)
    assert pyfunc.metadata.metadata["model_sha256"] == sha256
    assert not register(project.cfg, project.root).healed


@pytest.mark.parametrize("content", [None, "junk", "flavors: {}\n"])
def test_what_mlflow_loads_a_stored_model_by_is_healed_too(project: Any, content: str | None) -> None:
    import mlflow

    project.export(0.8)
    version = register(project.cfg, project.root).version
    (stored,) = project.root.rglob("MLmodel")
    if content is None:
        stored.unlink()
    else:
        stored.write_text(content)
    assert register(project.cfg, project.root).healed
    assert mlflow.pyfunc.load_model(version.uri).metadata.metadata["model_sha256"] == version.sha256
    assert not register(project.cfg, project.root).healed


def test_the_candidate_is_what_was_registered_last(project: Any) -> None:
    for amount, number in ((0.8, 1), (0.9, 2), (0.8, 1)):
        project.export(amount)
        assert register(project.cfg, project.root).version.number == number
        assert read_aliases(tracking_client(), "unblur") == {"candidate": number}


def test_it_goes_into_the_run_of_its_training(project: Any) -> None:
    client = tracking_client()
    run = client.create_run(ensure_experiment(client, "unblur"))
    client.set_terminated(run.info.run_id)
    project.write("artifacts/train/run.json", {"run_id": run.info.run_id})
    project.write("reports/report.html", "<html></html>")
    project.export(0.8)
    version = register(project.cfg, project.root).version
    assert version.run_id == run.info.run_id
    logged = {item.path for item in client.list_artifacts(version.run_id)}
    assert {"MODEL_CARD.md", "report.html"} <= logged
    assert client.get_run(version.run_id).info.status == "FINISHED"


def test_without_that_run_it_gets_one_of_its_own(project: Any) -> None:
    project.export(0.8)  # run.json names a run that this store does not have
    version = register(project.cfg, project.root).version
    run = tracking_client().get_run(version.run_id)
    assert run.info.run_name == "register"
    description = tracking_client().get_model_version("unblur", "1").description
    assert description.startswith(
        "NAFNet, 1.23 M parameters. psnr/literature 26.80 on 6 test pairs, blurred input 25.30."
    )


def test_a_model_that_differs_from_its_network_is_refused(project: Any) -> None:
    project.export(0.8, difference=0.02, passed=False)
    with pytest.raises(UnblurError, match=r"differs from its PyTorch network by 2\.00e-02"):
        register(project.cfg, project.root)


def test_figures_of_other_weights_are_refused(project: Any) -> None:
    project.export(0.8)
    project.write("artifacts/train/run.json", {"model_sha256": "b" * 64})
    with pytest.raises(UnblurError, match=r"made of the weights .*dvc repro"):
        register(project.cfg, project.root)


def test_means_that_are_not_those_of_the_scores_are_refused(project: Any) -> None:
    project.export(0.8)
    evaluate = project.root / "artifacts/evaluate"
    found = read_evaluation(evaluate)
    scores = [
        Score("p0", "s0", method, "shake", 5.0, profile, mean + (method == "model"))
        for method, means in found.test.items()
        for profile, mean in means.items()
    ]
    write_scores(evaluate / "per_image.csv", scores)
    with pytest.raises(UnblurError, match=r"metrics\.json tells 26\.8 for model .*per_image\.csv is 27\.8"):
        register(project.cfg, project.root)
    assert not tracking_client().search_model_versions("name = 'unblur'")


def test_a_file_of_one_training_is_not_joined_with_the_run_of_another(project: Any) -> None:
    project.export(0.8)
    weights = project.write("artifacts/train/model/model.safetensors", "trained anew")
    record = {"model_sha256": sha256_file(weights)}
    project.write("artifacts/train/run.json", record)
    project.write("artifacts/evaluate/metrics.json", record)
    with pytest.raises(UnblurError, match=r"chosen\.json tells of .* two trainings.*unblur export` and `unblur bench"):
        register(project.cfg, project.root)
    weights.unlink()  # a checkout that has the records alone
    with pytest.raises(UnblurError, match=r"chosen\.json was made of .*run\.json tells of .*dvc repro"):
        register(project.cfg, project.root)


def test_a_card_of_ones_own_is_not_overwritten(project: Any) -> None:
    own = project.write("artifacts/registry/MODEL_CARD.md", "# Mine\n")
    project.export(0.8)
    with pytest.raises(UnblurError, match=r"MODEL_CARD\.md: is there already.*--overwrite"):
        register(project.cfg, project.root)
    assert own.read_text() == "# Mine\n"


def test_nothing_exported_is_an_error(project: Any) -> None:
    with pytest.raises(UnblurError, match=r"chosen\.json is not there.*unblur benchmark"):
        register(project.cfg, project.root)
    project.export(0.8)
    (project.root / "artifacts/export/trained/model.onnx").unlink()
    with pytest.raises(UnblurError, match=r"model\.onnx is missing.*unblur export"):
        register(project.cfg, project.root)


def test_a_file_that_was_exported_after_the_benchmark_is_refused(project: Any) -> None:
    project.export(0.8)
    (project.root / "artifacts/export/trained/model.onnx").write_bytes(b"another")
    with pytest.raises(UnblurError, match=r"not the file that was chosen.*unblur benchmark"):
        register(project.cfg, project.root)


def test_a_champion_of_another_task_refuses_the_name(project: Any) -> None:
    client = tracking_client()
    project.export(0.8)
    register(project.cfg, project.root)
    project.cfg.data.task = "video"
    project.export(0.9)
    assert register(project.cfg, project.root).version.number == 2  # nothing to be compared with yet
    client.set_registered_model_alias("unblur", "champion", "1")
    project.export(1.0)
    with pytest.raises(UnblurError, match=r"for video, the champion unblur v1 one for image.*model_name=unblur-video"):
        register(project.cfg, project.root)
    assert read_aliases(client, "unblur") == {"candidate": 2, "champion": 1}
    project.cfg.registry.model_name = "unblur-video"
    assert register(project.cfg, project.root).version.tags["task"] == "video"
