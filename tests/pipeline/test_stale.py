"""What `unblur why` says, on a small pipeline written here."""

import copy

import pytest

from unblur.errors import UnblurError
from unblur.pipeline.stale import Present, read_dvc, why_stale

CONFIG = "artifacts/config/pipeline.yaml"


def code(stage):
    return f"artifacts/config/code/{stage}.json"


PIPELINE = {
    "stages": {
        "compose": {"cmd": "unblur compose", "deps": ["conf", "src/unblur"], "outs": [CONFIG]},
        "report": {"cmd": "unblur report", "deps": ["model"], "params": [{code("report"): None}], "outs": ["page"]},
        "train": {
            "cmd": "unblur train",
            "deps": ["data"],
            "params": [{code("train"): None}, {CONFIG: ["optimizer", "data.frames"]}],
            "outs": ["model", {"run.json": {"cache": False}}],
        },
    }
}
CODE = {"train": {"training/fit.py": "code:1", "losses/psnr.py": "code:2"}, "report": {"page.j2": "data:1"}}
COMPOSED = {"optimizer": {"lr": 1e-5, "betas": [0.9, 0.9]}, "data": {"frames": 1, "name": "x"}}
LOCK = {
    "stages": {
        "train": {
            "cmd": "unblur train",
            "params": {code("train"): CODE["train"], CONFIG: {"optimizer": COMPOSED["optimizer"], "data.frames": 1}},
        },
        "report": {"cmd": "unblur report", "params": {code("report"): CODE["report"]}},
    }
}


def why(config=COMPOSED, code=CODE, files=None, lock=LOCK):
    return why_stale(PIPELINE, lock, Present(config, code, files or {}))


def test_nothing_is_stale():
    assert why() == {}


def test_a_comment_makes_compose_run_and_is_not_counted():
    assert why(files={"compose": [{"changed deps": {"src/unblur": "modified"}}]}) == {}


def test_modules_are_named_and_the_stages_after():
    changed = {**CODE, "train": {"training/fit.py": "code:9", "losses/edge.py": "code:3"}}
    assert why(code=changed) == {
        "train": [
            "module losses/edge.py: is new to it",
            "module losses/psnr.py: no longer reached",
            "module training/fit.py: changed",
        ],
        "report": ["after train"],
    }


def test_keys_are_named_leaf_by_leaf():
    config = copy.deepcopy(COMPOSED)
    config["optimizer"] = {"lr": 1e-3, "betas": [0.9, 0.9], "eps": 1}
    config["data"]["name"] = "not read by train"
    assert why(config=config)["train"] == ["key optimizer.lr: 0.001, was 1e-05", "key optimizer.eps: 1, was not there"]


def test_files_are_named_where_no_stage_above_makes_them_again():
    page = {"report": [{"changed outs": {"page": "deleted"}}]}
    assert why(files=page) == {"report": ["file page: is not here"]}
    both = {"train": [{"changed deps": {"data": "modified"}}], "report": [{"changed deps": {"model": "modified"}}]}
    assert why(files=both) == {"train": ["file data: changed"], "report": ["after train"]}
    by_hand = {"report": [{"changed deps": {"model": "modified"}}]}
    assert why(files=by_hand) == {"report": ["file model: changed"]}


def test_params_that_dvc_compares_with_what_was_composed_before_are_left_to_what_is_here():
    seen = {"train": [{"changed deps": {CONFIG: {"optimizer": "modified"}, code("train"): {"x.py": "modified"}}}]}
    assert why(files=seen) == {}


def test_commands_and_stages_that_never_ran():
    lock = copy.deepcopy(LOCK)
    lock["stages"]["train"]["cmd"] = "unblur fit"
    del lock["stages"]["report"]
    files = {"report": [{"changed outs": {"page": "deleted"}}]}
    assert why(lock=lock, files=files) == {
        "train": ["command: was `unblur fit`"],
        "report": ["never ran: dvc.lock does not know it", "after train"],
    }


def test_a_lock_of_before_does_not_know_the_code():
    lock = copy.deepcopy(LOCK)
    del lock["stages"]["report"]["params"]
    assert why(lock=lock) == {"report": ["code: dvc.lock does not say what it ran"]}


def test_files_are_read_as_dvc_reads_them(tmp_path):
    assert read_dvc(tmp_path / "dvc.lock") == {}
    (tmp_path / "dvc.lock").write_text("stages:\n  train: {lr: 1e-05}\n")
    assert read_dvc(tmp_path / "dvc.lock") == {"stages": {"train": {"lr": 1e-5}}}
    for bad in ("stages: [1]\n", "a: [\n", "stages:\n  x: 1\n bad\n"):
        (tmp_path / "dvc.lock").write_text(bad)
        with pytest.raises(UnblurError, match=r"dvc\.lock.*git checkout dvc\.lock"):
            read_dvc(tmp_path / "dvc.lock")
    with pytest.raises(UnblurError, match=r"dvc\.yaml"):
        read_dvc(tmp_path / "dvc.yaml")
