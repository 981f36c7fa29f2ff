"""Nothing that goes to MLflow holds a credential."""

from typing import Any

import pytest
from mlflow.entities import Metric, Param

from unblur.config.tracking import ensure_experiment, tracking_client

SECRET = "vogelbeere17"


@pytest.fixture
def client(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return tracking_client()


def test_tags_parameters_texts_files_and_descriptions(client: Any, tmp_path: Any) -> None:
    experiment = ensure_experiment(client, "unblur")
    tags = {"mlflow.source.git.repoURL": "https://bot:ghp_0123@host/x.git", "told": f"by {SECRET}"}
    run_id = client.create_run(experiment, tags=tags).info.run_id
    client.log_batch(run_id, params=[Param("key", SECRET)], metrics=[Metric("loss", 0.5, 1, 0)])
    client.set_tag(run_id, "later", SECRET)
    client.log_text(run_id, f"text {SECRET}", "a.txt")
    client.log_dict(run_id, {"deep": [{"er": SECRET}]}, "b.json")
    for name, content in {
        "c.md": f"card {SECRET}".encode(),
        "d.bin": b"\xff" + SECRET.encode(),
        "e.txt": b"ok",
    }.items():
        (tmp_path / name).write_bytes(content)
        client.log_artifact(run_id, str(tmp_path / name))
    client.create_registered_model("unblur", description=SECRET)
    client.create_model_version("unblur", "file:///x", run_id=run_id, tags={"why": SECRET}, description=f"d {SECRET}")

    run = client.get_run(run_id)
    assert run.data.tags["mlflow.source.git.repoURL"] == "https://***@host/x.git"
    assert (run.data.tags["told"], run.data.tags["later"]) == ("by ***", "***")
    assert run.data.params == {"key": "***"}
    assert run.data.metrics == {"loss": 0.5}
    files = {path.name: path.read_bytes() for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()}
    assert files["a.txt"] == b"text ***"
    assert SECRET.encode() not in files["b.json"]
    assert files["c.md"] == b"card ***"
    assert files["d.bin"] == b"\xff" + SECRET.encode()  # no text: as it is
    assert files["e.txt"] == b"ok"
    assert client.get_registered_model("unblur").description == "***"
    version = client.get_model_version("unblur", "1")
    assert (version.tags["why"], version.description) == ("***", "d ***")
    assert (tmp_path / "c.md").read_bytes() == f"card {SECRET}".encode()  # the file itself is not touched
