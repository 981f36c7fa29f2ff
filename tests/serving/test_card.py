"""The card of the model that answers: of the list of models, of a registry, and of a file that has none."""

import pytest
import yaml
from fastapi.testclient import TestClient

import unblur
from unblur.library import Model
from unblur.models.catalogue import ROOM
from unblur.serving.app import make_app
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings


class Named:
    """A restorer that gives back what it gets."""

    sha256, task = "a" * 64, "image"

    def __init__(self, name):
        self.name = name

    def __call__(self, batch):
        return batch


def told(loaded, **settings):
    answer = TestClient(make_app(Served(loaded), Settings(**settings))).get("/v1/model")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("name", ["box", "box_fast", "nafnet-reds"])
def test_a_model_of_the_list_has_what_the_list_says(name):
    found, entry = told(Loaded(Model(Named(name)))), yaml.safe_load((ROOM / f"entries/{name}.yaml").read_text())
    assert {key: found[key] for key in ("licence", "trained_on")} == {
        key: entry[key] for key in ("licence", "trained_on")
    }
    assert [figure["value"] for figure in found["figures"]] == [
        str(figure["value"]) for figure in (*entry["own"], *entry["published"])
    ]
    assert (found["card"] == (ROOM / "weights/box/card.md").read_text()) == name.startswith("box")
    assert "fault" not in found


def test_a_file_has_no_card_and_says_so(box_onnx):
    found = told(Loaded(unblur.load(box_onnx(), threads=1)))
    assert found["fault"] == "box.onnx has no card: it is neither of a registry nor in the list of models"
    assert found["name"] == "box.onnx"
    assert len(found["sha256"]) == 64


def test_the_card_is_behind_the_key():
    client = TestClient(make_app(Served(Loaded(Model(Named("box")))), Settings(keys=("0" * 64,))))
    assert client.get("/v1/model").status_code == 401


@pytest.mark.slow
@pytest.mark.pipeline
def test_a_version_has_the_card_of_its_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    from unblur.config.tracking import tracking_client

    client = tracking_client()
    client.create_registered_model("unblur")
    experiment = client.create_experiment("e", artifact_location=(tmp_path / "artifacts").as_uri())
    head = "---\nlicense: other\nlicense_name: CC BY 4.0\ndatasets: [GoPro]\n---\n\n"
    for text in (f"{head}# unblur: model card\n", "---\n[\n---\n# x\n", None, "---\ndate: 2026-02-30\n---\n# y\n"):
        run = client.create_run(experiment).info.run_id
        if text:
            client.log_text(run, text, "MODEL_CARD.md")
        client.create_model_version("unblur", (tmp_path / "model").as_uri(), run)
    first, damaged, none, dated = (told(Loaded(Model(Named("x")), f"models:/unblur/{n}")) for n in (1, 2, 3, 4))
    assert (first["licence"], first["trained_on"]) == ("CC BY 4.0", "GoPro")
    assert (first["version"], first["card"]) == ("1", "# unblur: model card\n")
    assert (damaged["card"], dated["card"]) == ("# x\n", "# y\n")
    assert none["fault"].startswith("version 3 of unblur has no card")
    assert "its card cannot be had" in caplog.text
