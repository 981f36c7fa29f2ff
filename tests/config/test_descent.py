"""Every stage is told of every file that was exchanged under what it reads, and by no other."""

import json
import shutil
from pathlib import Path

import pytest

from unblur.config.descent import FILE, READS, require_descent, write_lineage
from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError

MADE = {
    "data": ["SOURCES.json"],
    "prepared": ["manifest.csv"],
    "train": ["model/model.safetensors"],
    "evaluate": ["metrics.json", "answers/a.png"],
    "prune": ["model/model.safetensors"],
    "quantize": ["trained_int8/model.onnx", "pruned_int8/model.onnx"],
    "export": ["trained/sha256.json", "trained_int8/sha256.json", "parity.csv"],
    "benchmark": ["latency.csv", "chosen.json"],
    "explain": ["summary.json"],
}


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Every stage's folder as one pass of the pipeline leaves it, in the pipeline's order."""
    monkeypatch.chdir(tmp_path)
    found = PathsConfig()
    for stage in MADE:
        make(found, stage)
    return found


def make(paths, stage, content="first"):
    folder = folder_of(paths, stage)
    for name in MADE[stage]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content} {stage}/{name}")
    writer = "prepare" if stage == "prepared" else stage
    if writer in READS:
        write_lineage(paths, writer, folder / "model" if stage == "train" else folder)


def folder_of(paths, stage):
    return Path(getattr(paths, stage))


def refused(paths):
    """Return stage -> what it says, for the stages that refuse."""
    found = {}
    for stage in READS:
        try:
            require_descent(paths, stage)
        except UnblurError as error:
            found[stage] = str(error)
    return found


def test_one_pass_belongs_together_and_its_records_are_the_same_bytes_again(paths, tmp_path):
    assert refused(paths) == {}
    before = (tmp_path / "artifacts/export" / FILE).read_bytes()
    make(paths, "export")
    assert (tmp_path / "artifacts/export" / FILE).read_bytes() == before
    assert str(tmp_path) not in before.decode()
    assert set(json.loads(before)["read"]) == {
        "train/model/model.safetensors",
        "prune/model/model.safetensors",
        "quantize/trained_int8/model.onnx",
        "quantize/pruned_int8/model.onnx",
        "prepared/manifest.csv",
    }


@pytest.mark.parametrize(
    ("anew", "refusing", "again"),
    [
        ("train", {"quantize", "export", "benchmark", "explain", "report", "register"}, "prune"),
        ("prune", {"export", "benchmark", "report", "register"}, "quantize"),
        ("quantize", {"benchmark", "report", "register"}, "export"),
        ("export", {"report", "register"}, "benchmark"),
        ("data", {"train"}, "prepare"),
        ("evaluate", {"report"}, "explain-pairs"),
        ("benchmark", set(), ""),
        ("explain", set(), ""),
        ("prepared", {"quantize", "export", "benchmark", "explain", "report", "register"}, "prune"),
    ],
)
def test_what_was_made_anew_is_not_joined_with_what_was_made_of_the_old(paths, anew, refusing, again):
    make(paths, anew, "second")
    found = refused(paths)
    assert found.keys() == refusing
    for message in found.values():
        if anew in ("train", "prepared"):  # also evaluate has to run again, if that comes first
            assert f"Run `unblur {again}` again" in message or "Run `unblur evaluate` again" in message
        else:
            assert f"Run `unblur {again}` again" in message
        assert f"{getattr(paths, anew)}/" in message
        assert f"/{FILE} was made of" in message
        assert "\n" not in message


def test_bringing_everything_up_to_date_mends_it(paths):
    make(paths, "train", "second")
    for stage in ("evaluate", "prune", "quantize", "export", "benchmark", "explain"):
        require_descent(paths, stage)
        make(paths, stage, "second")
    assert refused(paths) == {}


def test_a_file_that_came_or_went_is_told(paths):
    (folder_of(paths, "quantize") / "trained_int8" / "model.onnx").unlink()
    with pytest.raises(UnblurError, match=r"quantize/trained_int8/model\.onnx is not there: .*`unblur export` again"):
        require_descent(paths, "benchmark")
    shutil.rmtree(folder_of(paths, "quantize"))  # not pulled: nothing to compare with
    require_descent(paths, "benchmark")


def test_what_has_no_record_passes_and_a_damaged_one_does_not(paths):
    (folder_of(paths, "export") / FILE).unlink()
    make(paths, "quantize", "second")
    require_descent(paths, "benchmark")
    (folder_of(paths, "quantize") / FILE).write_text("{")
    with pytest.raises(UnblurError, match=r"quantize/lineage\.json: is no record"):
        require_descent(paths, "benchmark")


def test_a_pruned_network_may_be_taken_for_the_trained_one(paths):
    paths.train = paths.prune
    require_descent(paths, "quantize")
    with pytest.raises(UnblurError, match=r"`unblur quantize` again"):
        require_descent(paths, "export")


def test_the_same_model_may_be_scored_on_other_pairs(paths):
    make(paths, "prepared", "second")
    require_descent(paths, "evaluate")


def test_pairs_of_an_imported_dataset_are_trained_with_its_manifest_alone(paths):
    manifest, other = Path("pairs.csv"), Path("other.csv")
    manifest.write_text("first")
    other.write_text("second")
    write_lineage(paths, "prepare", folder_of(paths, "prepared"), manifest=str(manifest))
    make(paths, "data", "second")  # it has no part in this
    require_descent(paths, "train", manifest=str(manifest))
    with pytest.raises(UnblurError, match=r"other\.csv is .*Run `unblur prepare` again"):
        require_descent(paths, "train", manifest=str(other))
    with pytest.raises(UnblurError, match=r"they do not belong together\. Run `unblur prepare` again"):
        require_descent(paths, "train")
