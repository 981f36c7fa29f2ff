"""What a registered version says of itself, and `unblur verify`, which checks it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from unblur.commands.verify import main
from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.register import register
from unblur.registry.verifying import check_model
from unblur.safety.hashing import sha256_file, write_listing

FINISHED = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def stored(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in the store of a version that is signed and whose training began with a licensed parent."""
    private, public = tmp_path / "a.key", tmp_path / "a.pem"
    for line in (f"ecparam -name prime256v1 -genkey -noout -out {private}", f"ec -in {private} -pubout -out {public}"):
        subprocess.run(["openssl", *line.split()], check=True, capture_output=True)
    monkeypatch.setenv("UNBLUR_SIGNING_KEY", str(private))
    monkeypatch.setenv("UNBLUR_PUBLIC_KEY", str(public))
    record = json.loads((project.root / "artifacts/train/run.json").read_text())
    began = {"finished": FINISHED, "init_name": "box", "init_sha256": "b" * 64, "init_licence": "Apache-2.0"}
    project.write("artifacts/train/run.json", record | began)
    project.export(0.8)
    register(project.cfg, project.root)
    (model,) = (project.root / "mlartifacts").rglob("model.onnx")
    return model.parent


def states(reference: str | Path) -> dict[str, str]:
    return {each.name: each.state for each in check_model(str(reference))}


ALL = dict.fromkeys(("model.onnx", "model.sig", "bom.json", "provenance.json", "signature", "bom", "provenance"), "ok")


def test_the_bill_is_valid_and_tells_model_parents_data_and_packages(project: Any, stored: Path) -> None:
    text = (stored / "bom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": sha256_file(stored / "model.onnx")}]
    parents = {each["name"]: each for each in model["pedigree"]["ancestors"]}
    assert parents["box"]["hashes"][0]["content"] == "b" * 64
    assert parents["box"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert bill["metadata"]["timestamp"] == FINISHED
    parts = {each["name"]: each for each in bill["components"]}
    assert {each["name"]: each["licenses"][0]["license"] for each in parts["photographs"]["components"]} == {
        "photos/a.png": {"name": "CC0"},
        "photos/b.png": {"name": "BSD"},
        "photos/c.png": {"name": "CC0"},
        "photos/d.png": {"name": "CC0"},
    }
    import onnxruntime

    assert parts["onnxruntime"]["version"] == onnxruntime.__version__
    measured = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "psnr/literature", "value": "26.8", "slice": "test, model"} in measured


def test_the_provenance_is_a_statement_about_the_files_beside_it(stored: Path) -> None:
    told = json.loads((stored / "provenance.json").read_text())
    assert (told["_type"], told["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert {each["name"]: each["digest"]["sha256"] for each in told["subject"]} == {
        name: sha256_file(stored / name) for name in ("model.onnx", "bom.json")
    }
    inputs = {each["name"]: each["digest"] for each in told["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert inputs["code"] == {"gitCommit": "a" * 40}
    assert inputs["data.dvc"] == {"md5": "0123456789abcdef0123456789abcdef"}
    assert inputs["box"] == {"sha256": "b" * 64}


def test_documents_of_one_model_are_the_same_when_they_are_written_anew(project: Any, stored: Path) -> None:
    names = ("bom.json", "provenance.json")
    before = [(stored / name).read_bytes() for name in names]
    shutil.rmtree(stored)
    assert register(project.cfg, project.root).healed
    assert [(stored / name).read_bytes() for name in names] == before
    assert states("models:/unblur/1") == ALL


def test_all_holds_for_a_version_and_nothing_for_an_exchanged_one(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert states("models:/unblur@candidate") == ALL
    assert main.__wrapped__(["models:/unblur/1", "--json"]) == 0
    assert {each["state"] for each in json.loads(capsys.readouterr().out)} == {"ok"}
    whole = {file: file.read_bytes() for file in stored.iterdir()}
    for file, content in whole.items():
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        found = states("models:/unblur/1")
        assert found["signature"] == "failed", file.name
        assert found.get(file.name, "failed") == "failed", file.name
        file.write_bytes(content)
    (stored / "bom.json").unlink()
    assert states("models:/unblur/1")["provenance"] == "failed"
    assert main.__wrapped__(["models:/unblur/1"]) == 1
    assert "NOT what it should be" in capsys.readouterr().out


def test_documents_of_another_model_are_found_though_tags_and_signature_are_right(stored: Path) -> None:
    bill = json.loads((stored / "bom.json").read_text())
    bill["metadata"]["component"]["hashes"][0]["content"] = "0" * 64
    (stored / "bom.json").write_text(json.dumps(bill))
    tracking_client().set_model_version_tag("unblur", "1", "bom_sha256", sha256_file(stored / "bom.json"))
    found = states("models:/unblur/1")
    assert (found["bom.json"], found["bom"], found["provenance"], found["signature"]) == ("ok", *["failed"] * 3)


def test_a_signature_that_nobody_can_check_is_no_proof(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNBLUR_PUBLIC_KEY")
    assert states("models:/unblur/1") == ALL | {"signature": "failed"}


def test_a_folder_and_a_file_are_held_against_their_listing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"graph")
    assert states(tmp_path)["origin"] == "failed"
    write_listing([model], tmp_path)
    assert main.__wrapped__([str(tmp_path)]) == main.__wrapped__([str(model)]) == 0
    model.write_bytes(b"grapH")
    assert main.__wrapped__([str(tmp_path)]) == main.__wrapped__([str(model)]) == 1
    assert "FAILED" in capsys.readouterr().out
    with pytest.raises(UnblurError, match="there is no such file or folder"):
        check_model(str(tmp_path / "nowhere"))
