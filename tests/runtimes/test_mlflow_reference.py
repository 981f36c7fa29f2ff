import numpy as np
import pytest

from unblur.errors import LostFileError, NoModelVersionError, UnblurError
from unblur.runtimes import mlflow_reference
from unblur.runtimes.mlflow_reference import fetched, fetched_graph, is_mlflow_reference
from unblur.runtimes.restorer import load_restorer
from unblur.safety.hashing import sha256_file


def test_references_are_told_from_paths():
    assert is_mlflow_reference("models:/unblur@champion")
    assert is_mlflow_reference("runs:/abc/model")
    assert not is_mlflow_reference("artifacts/models/model.onnx")
    assert not is_mlflow_reference("/models:/x")


def test_without_a_store_the_answer_is_quick_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(
        UnblurError, match=r"models:/unblur@champion: no such model version in sqlite:///.*`make repro`"
    ):
        load_restorer("models:/unblur@champion")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "error", "told"),
    [
        ("(psycopg.OperationalError) server closed the connection", NoModelVersionError, "does not answer"),
        ("API request failed with error code 503", NoModelVersionError, "does not answer"),
        ("HeadObject: 403 Forbidden", NoModelVersionError, "refuses this user"),
        ("No such artifact: 'model.onnx'", LostFileError, "its stored file is gone"),
        ("No such artifact: 'mlartifacts/403/model.onnx'", LostFileError, "its stored file is gone"),
    ],
)
def test_a_file_is_gone_only_where_the_store_says_so(tmp_path, monkeypatch, reason, error, told):
    from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
    from mlflow.exceptions import MlflowException

    class Client:
        def get_model_version(self, name, number):
            return ModelVersion(name, number, creation_timestamp=0, tags=[ModelVersionTag("model_sha256", "0" * 64)])

    def download(artifact_uri, dst_path):
        raise MlflowException(reason)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "mlflow.db").touch()
    monkeypatch.setattr(mlflow_reference, "tracking_client", Client)
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", download)
    with pytest.raises(error, match=told), fetched("models:/unblur/1"):
        pass


@pytest.mark.slow
@pytest.mark.pipeline
def test_registered_models_are_found_by_alias_version_and_run(tmp_path, monkeypatch, box_onnx, caplog):
    import mlflow
    import onnx

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    from unblur.config.tracking import tracking_client

    client = tracking_client()
    experiment = client.create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri())
    path = box_onnx()
    with mlflow.start_run(experiment_id=experiment) as run:
        logged = mlflow.onnx.log_model(
            onnx.load(path), name="model", pip_requirements=["onnxruntime"], save_as_external_data=False
        )
        mlflow.log_artifact(str(path), "plain")
    client.create_registered_model("unblur")
    tags = {"model_sha256": sha256_file(path)}
    version = client.create_model_version(
        "unblur", logged.model_uri, run.info.run_id, tags=tags, model_id=logged.model_id
    )
    client.set_registered_model_alias("unblur", "champion", version.version)

    batch = np.random.default_rng(0).random((1, 3, 9, 9), dtype=np.float32)
    expected = load_restorer(path, threads=1)(batch)
    for reference in (
        "models:/unblur@champion",
        f"models:/unblur/{version.version}",
        f"models:/{logged.model_id}",
        f"runs:/{run.info.run_id}/model",
        f"runs:/{run.info.run_id}/plain/box.onnx",
    ):
        caplog.clear()
        restorer = load_restorer(reference, threads=1)
        assert restorer.name == reference
        np.testing.assert_array_equal(restorer(batch), expected)
        told = [f"{reference}: no SHA-256 of it was ever registered"] if "plain" in reference else []
        assert [message.partition(",")[0] for message in caplog.messages] == told
    assert not fetched_graph("models:/unblur@champion").path.exists()

    (stored,) = (tmp_path / "artifacts").rglob("model.onnx")
    onnx.save(onnx.load(box_onnx(5, "other.onnx")), stored)
    for reference in ("models:/unblur@champion", f"models:/{logged.model_id}", f"runs:/{run.info.run_id}/model"):
        with pytest.raises(LostFileError, match=f"{reference}: the stored model.onnx is not the file that was reg"):
            load_restorer(reference)
    stored.unlink()
    for reference in ("models:/unblur@champion", f"models:/{logged.model_id}", f"runs:/{run.info.run_id}/model"):
        with pytest.raises(LostFileError, match=f"{reference}: its stored .* is gone"):
            load_restorer(reference)

    for missing in ("models:/unblur@nobody", "models:/other/1", "runs:/nothing/model"):
        with pytest.raises(UnblurError, match=f"{missing}: no such .* give --model FILE") as caught:
            load_restorer(missing)
        assert "\n" not in str(caught.value)
