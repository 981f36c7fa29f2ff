"""What a schedule trains for, on small pipelines of DVC; what it needs before; and what it tells."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from unblur.errors import UnblurError
from unblur.registry.retraining import (
    Outcome,
    old_champion,
    propose_lock,
    require_outlets,
    run_lines,
    set_overrides,
    unjudged,
    waiting_version,
    why_retrain,
)


def shell(root: Path, line: str) -> None:
    list(run_lines(root, "bash", "-ec", line))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git and DVC project whose one stage has been run, with remotes of both."""
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "test")
        monkeypatch.setenv(f"{name}_EMAIL", "test@example.org")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "project"
    for folder in ("data", "src", "artifacts/config/code", "reports"):
        (root / folder).mkdir(parents=True)
    files = {
        "data/a": "a",
        "src/code.py": "1",
        "artifacts/config/pipeline.yaml": "seed: 0\n",
        "artifacts/config/code/one.json": '{"networks/a.py": "1", "networks/b.py": "1"}',
    }
    for file, text in files.items():
        (root / file).write_text(text)
    (root / "params.yaml").write_text("overrides:\n- experiment=smoke\n- seed=3\n")
    stage = {
        "cmd": "cat data/a src/code.py > artifacts/out",
        "deps": ["data", "src"],
        "params": [{"artifacts/config/code/one.json": None}, {"artifacts/config/pipeline.yaml": ["seed"]}],
        "outs": ["artifacts/out"],
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": stage}}))
    shell(root, "git init -q && dvc init -q && dvc add -q data && dvc repro -q && git add -A && git commit -qm first")
    shell(root, f"git init -q --bare {tmp_path}/origin && git remote add origin {tmp_path}/origin")
    return root


def test_nothing_new_is_no_reason_also_on_a_bare_machine(root: Path) -> None:
    assert why_retrain(root) == []
    (root / "artifacts/out").unlink()
    assert why_retrain(root) == []


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("data/b", "b", "new data: data"),
        ("src/code.py", "2", "new code: src"),
        (
            "artifacts/config/code/one.json",
            '{"networks/a.py": "2", "networks/b.py": "1", "networks/c.py": "1"}',
            "new code: networks/a.py, networks/c.py",
        ),
        ("artifacts/config/pipeline.yaml", "seed: 1\n", "another configuration: artifacts/config/pipeline.yaml"),
    ],
)
def test_each_reason_is_told_apart(root: Path, file: str, text: str, reason: str) -> None:
    (root / file).write_text(text)
    assert why_retrain(root) == [reason]


def test_without_its_data_it_does_not_train(root: Path) -> None:
    shell(root, "rm -r data")
    with pytest.raises(UnblurError, match=r"data is not there: fetch the data first"):
        why_retrain(root)


def test_overrides_and_seed(root: Path) -> None:
    set_overrides(root, None, None)
    assert (root / "params.yaml").read_text() == "overrides:\n- experiment=smoke\n- seed=3\n"
    set_overrides(root, None, 4)
    assert yaml.safe_load((root / "params.yaml").read_text()) == {"overrides": ["experiment=smoke", "seed=4"]}
    set_overrides(root, ["model.width=8", "$(touch executed)"], None)
    assert yaml.safe_load((root / "params.yaml").read_text()) == {"overrides": ["model.width=8", "$(touch executed)"]}


def test_what_is_missing_is_told_before_the_work(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="MLFLOW_TRACKING_URI is not set"):
        require_outlets(root, propose=False, local=False)
    require_outlets(root, propose=False, local=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(UnblurError, match="there is no DVC remote"):
        require_outlets(root, propose=True, local=False)
    shell(root, f"dvc remote add -q -d store {tmp_path}/store")
    require_outlets(root, propose=True, local=False)
    shell(root, "git remote remove origin")
    with pytest.raises(UnblurError, match="no remote `origin`"):
        require_outlets(root, propose=True, local=False)


def test_the_proposal_holds_the_record_and_nothing_else(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = root.parent / "gh.json"
    tool = root.parent / "bin" / "gh"
    tool.parent.mkdir()
    tool.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(called)!r}, 'w'))\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{Path(sys.executable).parent}:/usr/bin:/bin")
    (root / "src/code.py").write_text("2")
    (root / "left_over.txt").write_text("not of the record")
    shell(root, "dvc repro -q")
    outcome = Outcome("candidate", ("new code: src",), "unblur v7", ("min_psnr: passed",))
    branch = propose_lock(root, outcome)
    assert branch.startswith("retrain/")
    arguments = json.loads(called.read_text())
    assert arguments[:4] == ["pr", "create", "--head", branch]
    assert arguments[5] == "Retrain: unblur v7, new code"
    changed = subprocess.check_output(
        ["git", "show", "--stat", "--format=%s", branch], cwd=root.parent / "origin", text=True
    )
    assert changed.startswith("Retrain: unblur v7, new code")
    assert "dvc.lock" in changed
    assert "1 file changed" in changed
    called.unlink()
    assert propose_lock(root, outcome) == branch  # it is there already
    assert not called.exists()


def test_a_command_that_fails_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match=r"`bash -c echo told; exit 4` has ended with code 4: told"):
        list(run_lines(tmp_path, "bash", "-c", "echo told; exit 4"))
    with pytest.raises(UnblurError, match="'nosuchtool' is not there"):
        list(run_lines(tmp_path, "nosuchtool"))


def test_the_report_says_that_there_was_nothing_to_do() -> None:
    assert "## Retraining: nothing to do" in Outcome("nothing to do").markdown()
    assert "dvc.lock is current" in Outcome("nothing to do").markdown()


def test_a_champion_that_gains_too_little_on_new_pairs(project: Any, make_photo: Any) -> None:
    import cv2

    from unblur.data.images import write_png
    from unblur.registry.retraining import drift

    pairs = project.root / "new"
    for index in range(2):
        sharp = cv2.GaussianBlur(make_photo(64, 72, seed=index), (0, 0), 1.0)
        for side, image in {"sharp": sharp, "blur": cv2.GaussianBlur(sharp, (0, 0), 1.3)}.items():
            (pairs / side).mkdir(parents=True, exist_ok=True)
            write_png(pairs / side / f"p{index}.png", image)
    project.export(0.8)
    model = str(project.root / "artifacts/export/trained/model.onnx")
    assert drift(pairs, model, 0.0) is None
    told = drift(pairs, model, 50.0)
    assert told is not None
    assert "+50.00 dB wanted" in told
    assert "2 pairs of new" in told


def test_what_waits_what_was_not_judged_and_how_old_the_champion_is(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unblur.config.tracking import tracking_client
    from unblur.registry.gate import run_gate
    from unblur.registry.promote import promote
    from unblur.registry.register import register

    client = tracking_client()
    assert old_champion(client, "unblur", -1) is None
    assert waiting_version(client, "unblur") is None
    project.export(0.8)
    assert unjudged(client, project.cfg, project.root) == "the model of dvc.lock was not judged by the gate yet"
    register(project.cfg, project.root)
    assert unjudged(client, project.cfg, project.root) is not None
    run_gate(project.cfg, project.root)
    assert unjudged(client, project.cfg, project.root) is None
    other = replace(project.cfg, gate=replace(project.cfg.gate, min_gain=-1.0))
    assert unjudged(client, other, project.root) == "the gate's rules have changed since unblur v1 was judged"
    with monkeypatch.context() as changed:
        changed.setattr("unblur.registry.retraining.code_of_rules", lambda: "of another day")
        assert unjudged(client, project.cfg, project.root) is not None
    with monkeypatch.context() as changed:
        changed.setattr("unblur.registry.retraining.find_record", Mock(side_effect=UnblurError("of another form")))
        assert unjudged(client, project.cfg, project.root) == "unblur v1 was judged by another version of unblur"
    found = waiting_version(client, "unblur")
    assert found is not None
    assert (found[0].number, found[1]) == (1, "none")
    promote("unblur", project.root, project.root / project.cfg.paths.registry)
    assert waiting_version(client, "unblur") is None
    assert old_champion(client, "unblur", 1) is None
    told = old_champion(client, "unblur", -1)
    assert told == "schedule: unblur v1 has been the champion for 0 days, at most -1 wanted"


def test_a_candidate_that_waits_is_named_in_the_heading() -> None:
    text = Outcome("waiting", ("drift: of the light",), "unblur v2", champion="1").markdown()
    assert text.startswith("## Retraining: nothing to do, unblur v2 waits\n\n- drift: of the light\n")
