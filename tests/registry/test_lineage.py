"""The facts that identify a registered model."""

import hashlib
from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.records.chosen import Chosen
from unblur.records.training import Training
from unblur.registry.lineage import Lineage, collect_lineage


@pytest.fixture
def chosen(tmp_path: Path) -> Chosen:
    (tmp_path / "artifacts/config").mkdir(parents=True)
    (tmp_path / "artifacts/config/pipeline.yaml").write_text("seed: 0\n")
    (tmp_path / "data.dvc").write_text("outs:\n- md5: abc.dir\n")
    return Chosen("pruned", "float", "openvino", "f32", "pruned/model.onnx", "d" * 64, "e" * 64, "f" * 64, 0.1)


def test_each_fact_comes_from_its_file(tmp_path: Path, chosen: Chosen) -> None:
    lineage = collect_lineage(tmp_path, Training(), chosen)
    assert lineage == Lineage(
        git_sha="unknown",
        git_dirty="unknown",
        data_md5="abc.dir",
        config_hash=hashlib.sha256(b"seed: 0\n").hexdigest(),
        model_sha256="d" * 64,
        variant="pruned",
        parent_sha256="e" * 64,
        teacher_sha256="f" * 64,
    )
    assert lineage.tags()["data_md5"] == "abc.dir"
    assert lineage.tags()["parent_sha256"] == "e" * 64


def test_what_the_training_noted_wins_over_the_tree_of_today(tmp_path: Path, chosen: Chosen) -> None:
    training = Training(git_sha="f" * 40, git_dirty="true", data_md5="old.dir")
    lineage = collect_lineage(tmp_path, training, chosen)
    assert (lineage.git_sha, lineage.git_dirty, lineage.data_md5) == ("f" * 40, "true", "old.dir")


def test_without_the_configuration_there_is_no_lineage(tmp_path: Path, chosen: Chosen) -> None:
    (tmp_path / "artifacts/config/pipeline.yaml").unlink()
    with pytest.raises(UnblurError, match=r"pipeline\.yaml is missing"):
        collect_lineage(tmp_path, Training(), chosen)
