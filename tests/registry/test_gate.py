"""The gate on real models in a real registry."""

import importlib.util
import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unblur
from unblur.config.tracking import tracking_client
from unblur.errors import GateRefusedError, UnblurError
from unblur.models.catalogue import find
from unblur.pipeline.sources import Sources
from unblur.records.gate import GateRecord, differences, read_record
from unblur.registry import gate as judging
from unblur.registry.gate import latency_ms, rounds_ms, run_gate
from unblur.registry.move import Move
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.versions import read_aliases, read_version
from unblur.safety.hashing import sha256_file

GAIN = 0.8


def gate(project: Any, **rules: Any) -> GateRecord:
    """Judge and return the verdict; `rules` replace those of the project."""
    for key, value in rules.items():
        setattr(project.cfg.gate, key, value)
    record = run_gate(project.cfg, project.root)
    assert record is not None
    return record


def candidate(project: Any, amount: float) -> None:
    project.export(amount)
    register(project.cfg, project.root)


def champion(project: Any, amount: float) -> None:
    candidate(project, amount)
    gate(project)
    promote("unblur", project.root, project.root / "artifacts/registry")


def test_a_good_first_candidate_passes_and_becomes_challenger(project: Any) -> None:
    candidate(project, GAIN)
    record = gate(project)
    record.require_passed()
    assert record.subject.champion is None
    assert record.pairs == 6
    assert record.means["candidate"] > record.means["blurred"] + 0.3
    client = tracking_client()
    assert read_aliases(client, "unblur") == {"candidate": 1, "challenger": 1}
    version = read_version(client, "unblur", 1)
    assert version.tags["gate"] == "passed"
    logged = client.download_artifacts(version.run_id, "registry/v1/gate.json")
    written = json.loads((project.root / "artifacts/registry/gate.json").read_text())
    assert json.loads(Path(logged).read_text()) == written
    assert written["verdict"] == "passed"
    assert written["subject"]["data_md5"].endswith(".dir")
    assert {rule["rule"] for rule in written["results"]} == {
        "min_psnr", "min_gain", "max_sharp_loss", "max_regression", "max_parity", "max_latency_ms", "max_size_mb",
    }  # fmt: skip


def test_each_rule_can_refuse(project: Any) -> None:
    candidate(project, GAIN)
    client = tracking_client()
    for rule, limit in {
        "min_psnr": 90.0,
        "min_gain": 50.0,
        "max_sharp_loss": 0.05,
        "max_parity": 1e-9,
        "max_latency_ms": 1e-6,
        "max_size_mb": 1e-6,
    }.items():
        passes = getattr(project.cfg.gate, rule)
        assert gate(project).passed
        assert read_aliases(client, "unblur").get("challenger") == 1
        record = gate(project, **{rule: limit})
        assert [result.rule for result in record.results if not result.passed] == [rule]
        with pytest.raises(GateRefusedError, match=rf"refuses unblur v1\. {rule}: .* wanted, missed by"):
            record.require_passed()
        assert read_version(client, "unblur", 1).tags["gate"] == "refused"
        assert "challenger" not in read_aliases(client, "unblur")
        setattr(project.cfg.gate, rule, passes)


def test_a_worse_model_than_the_champion_is_refused(project: Any) -> None:
    champion(project, GAIN)
    candidate(project, 0.3)
    record = gate(project, min_gain=None)
    assert [result.rule for result in record.results if not result.passed] == ["max_regression"]
    assert record.subject.champion == 1
    assert record.means["champion"] > record.means["candidate"]


def test_without_a_champion_the_model_in_the_box_has_to_be_reached(project: Any) -> None:
    candidate(project, -0.5)  # blurs further, which the box does not do
    record = gate(project, min_gain=None, max_sharp_loss=None, without_champion="box")
    assert [result.rule for result in record.results if not result.passed] == ["max_regression"]
    assert record.means["box"] > record.means["candidate"]
    assert (record.subject.champion, record.subject.champion_sha256) == (None, find("box").sha256)
    told = next(result.note for result in record.results if result.rule == "max_regression")
    assert told.endswith("against box, as there is no champion")
    candidate(project, GAIN)
    gate(project, min_gain=None, max_regression=None).require_passed()
    promote("unblur", project.root, project.root / "artifacts/registry")
    candidate(project, GAIN + 1e-4)
    assert "box" not in gate(project).means  # there is a champion now


def test_a_model_as_good_as_the_champion_is_let_through(project: Any) -> None:
    champion(project, GAIN)
    candidate(project, GAIN + 1e-4)
    assert gate(project).passed


def test_a_verdict_is_not_computed_twice(project: Any) -> None:
    candidate(project, GAIN)
    first = gate(project)
    assert gate(project) == first  # the very time of the first


def test_an_edited_verdict_does_not_count(project: Any) -> None:
    candidate(project, GAIN)
    refused = gate(project, min_gain=9.0)
    assert not refused.passed
    path = project.root / "artifacts/registry/gate.json"
    edited = json.loads(path.read_text())
    edited["passed"] = True
    path.write_text(json.dumps(edited))
    assert gate(project) == refused  # the registry's copy is taken, and put in its place
    assert json.loads(path.read_text())["verdict"] == "refused"


def test_without_tags_it_is_judged_anew(project: Any) -> None:
    candidate(project, GAIN)
    gate(project)
    client = tracking_client()
    client.delete_model_version_tag("unblur", "1", "gate_sha256")
    client.delete_registered_model_alias("unblur", "challenger")
    gate(project)
    assert "gate_sha256" in read_version(client, "unblur", 1).tags
    assert read_aliases(client, "unblur")["challenger"] == 1


def test_another_subject_is_judged_anew(project: Any) -> None:
    candidate(project, GAIN)
    subjects = [gate(project).subject]
    project.cfg.gate.min_psnr = 15.0
    subjects.append(gate(project).subject)
    project.write("data.dvc", "outs:\n- md5: ffff.dir\n")
    subjects.append(gate(project).subject)
    manifest = project.root / "artifacts/prepared/manifest.csv"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(lines[:2] + lines[4:]))
    fewer = gate(project)
    assert fewer.pairs == 4
    subjects.append(fewer.subject)
    changed = [differences(before, after) for before, after in itertools.pairwise(subjects)]
    assert changed == [["rules"], ["data_md5"], ["pairs_sha256"]]


def test_a_refused_candidate_is_judged_anew_by_rules_of_other_code(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "src/unblur"
    shutil.copytree(Path(unblur.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    monkeypatch.setattr(judging, "Sources", lambda: Sources(copy))
    candidate(project, GAIN)
    file = project.root / "artifacts/export/trained/model.onnx"
    refused = gate(project, max_size_mb=file.stat().st_size / 1.02e6)
    assert [result.rule for result in refused.results if not result.passed] == ["max_size_mb"]

    rules = copy / "registry/rules.py"
    written = rules.read_text()
    rules.write_text(written.replace('"""The rules of', '"""All the rules of') + "\n# a comment\n")
    assert gate(project) == refused  # the same code

    rules.write_text(written.replace('measured.size_mb, "MB"', 'measured.size_mb / 1.048576, "MiB"'))
    spec = importlib.util.spec_from_file_location("edited_rules", rules)
    assert spec is not None
    assert spec.loader is not None
    upgraded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "edited_rules", upgraded)
    spec.loader.exec_module(upgraded)
    monkeypatch.setattr(judging, "judge", upgraded.judge)
    again = gate(project)
    assert again.passed
    assert differences(refused.subject, again.subject) == ["code"]
    assert read_aliases(tracking_client(), "unblur")["challenger"] == 1
    assert gate(project) == again

    for name in ("metrics/psnr.py", "registry/gate.py", "evaluation/bootstrap.py", "serving/app.py"):
        before = judging.code_of_rules()
        (copy / name).write_text((copy / name).read_text() + "\nMORE = 1\n")
        assert (judging.code_of_rules() == before) is (name == "serving/app.py")


def test_a_verdict_of_an_unblur_that_knew_no_code_is_read_and_judged_anew(project: Any) -> None:
    candidate(project, GAIN)
    first = gate(project)
    path = project.root / "artifacts/registry/gate.json"
    written = json.loads(path.read_text())
    del written["subject"]["code"], written["sealed"]
    path.write_text(json.dumps(written))
    tracking_client().set_model_version_tag("unblur", "1", "gate_sha256", sha256_file(path))
    assert read_record(path).subject.code == ""
    assert promote("unblur", project.root, path.parent).after == 1
    again = gate(project)
    assert again.of_champion
    assert again.subject.code == first.subject.code


def test_a_candidate_that_is_promoted_while_it_is_judged_again_is_no_challenger(project: Any) -> None:
    champion(project, GAIN)
    candidate(project, GAIN + 1e-4)
    assert gate(project).passed
    moves: list[Move] = []

    def promoted_meanwhile(what: str) -> Any:
        if not moves:
            moves.append(promote("unblur", project.root, project.root / "artifacts/registry"))
        return lambda rows: rows

    project.cfg.gate.min_psnr = 21.0
    record = run_gate(project.cfg, project.root, promoted_meanwhile)
    assert record is not None
    assert record.passed
    assert moves[0].after == 2
    assert read_aliases(tracking_client(), "unblur") == {"candidate": 2, "champion": 2, "previous_champion": 1}


def test_a_damaged_record_is_judged_anew(project: Any) -> None:
    candidate(project, GAIN)
    path = project.write("artifacts/registry/gate.json", '{"verdict": "passed", "subject": {')
    assert gate(project).passed
    assert json.loads(path.read_text())["verdict"] == "passed"


def test_the_champion_needs_no_judgement(project: Any) -> None:
    champion(project, GAIN)
    assert run_gate(project.cfg, project.root) is None


@pytest.mark.parametrize("change", ["rules", "pairs"])
def test_the_champion_is_judged_again_when_rules_or_pairs_have_changed(project: Any, change: str) -> None:
    champion(project, GAIN)
    if change == "rules":
        project.cfg.gate.min_psnr = 90.0
    else:
        manifest = project.root / "artifacts/prepared/manifest.csv"
        lines = manifest.read_text().splitlines(keepends=True)
        manifest.write_text("".join([lines[0], lines[-1]]))  # the noisy pair alone, on which it loses
    record = gate(project)
    assert record.of_champion
    assert not record.passed
    with pytest.raises(GateRefusedError, match="It is the champion, and stays until you act"):
        record.require_passed()
    client = tracking_client()
    assert read_version(client, "unblur", 1).tags["gate"] == "refused"
    assert read_aliases(client, "unblur") == {"candidate": 1, "champion": 1}
    assert gate(project) == record  # known now, and still said
    if change == "rules":
        again = gate(project, min_psnr=21.0)
        assert again.passed
        assert read_aliases(client, "unblur") == {"candidate": 1, "champion": 1}  # no challenger of itself
        assert run_gate(project.cfg, project.root) is None


def test_the_strata_and_the_ratio_to_the_champion_are_measured(project: Any) -> None:
    champion(project, GAIN)
    candidate(project, GAIN + 0.01)
    record = gate(project, max_latency_ratio=50.0, max_stratum_regression=0.5, max_unblurred_loss=6.0)
    found = {row.name: row.pairs for row in record.strata}
    assert found["all"] == 6
    assert (found["kind: shake"], found["kind: defocus"], found["kind: identity"]) == (4, 1, 1)
    assert [found[f"difficulty: {name}"] for name in ("easy", "medium", "hard")] == [2, 2, 2]
    assert sum(pairs for name, pairs in found.items() if name.startswith("brightness")) == 6
    results = {result.rule: result for result in record.results}
    assert results["max_unblurred_loss"].note.startswith("the worst of 1 pairs")
    ratio = results["max_latency_ratio"].figure
    assert ratio is not None
    assert 0.02 < ratio < 50  # the same network


def test_restorers_are_timed_in_turn() -> None:
    order: list[str] = []

    class Named:
        sha256, task = "", "image"

        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            order.append(self.name)
            return batch

    times = rounds_ms([Named("a"), Named("b")], 8, 12, runs=3)  # type: ignore[list-item]
    assert order == list("ab" * 4)
    assert [len(each) for each in times] == [3, 3]


def test_nothing_registered_is_an_error(project: Any) -> None:
    with pytest.raises(UnblurError, match="unblur register"):
        run_gate(project.cfg, project.root)


def test_a_changed_pair_is_an_error(project: Any) -> None:
    candidate(project, GAIN)
    pair = project.root / "artifacts/prepared/test/blur/p1.png"
    pair.write_bytes(pair.read_bytes() + b"\0")
    with pytest.raises(UnblurError, match=r"p1\.png: is not what the manifest names"):
        gate(project)


def test_no_test_pairs_is_an_error(project: Any) -> None:
    candidate(project, GAIN)
    manifest = project.root / "artifacts/prepared/manifest.csv"
    manifest.write_text(manifest.read_text().splitlines(keepends=True)[0])
    with pytest.raises(UnblurError, match="no test pairs"):
        gate(project)
    manifest.unlink()
    with pytest.raises(UnblurError, match="unblur prepare"):
        gate(project)


def test_a_file_of_ones_own_is_not_overwritten(project: Any) -> None:
    candidate(project, GAIN)
    own = project.write("artifacts/registry/gate.json", '{"mine": 1}')
    with pytest.raises(UnblurError, match=r"gate\.json: is there already.*--overwrite"):
        gate(project)
    assert own.read_text() == '{"mine": 1}'


def test_a_stored_file_that_was_exchanged_is_an_error(project: Any) -> None:
    candidate(project, GAIN)
    (stored,) = (project.root / "mlartifacts").rglob("model.onnx")
    project.export(0.1)
    stored.write_bytes((project.root / "artifacts/export/trained/model.onnx").read_bytes())
    with pytest.raises(UnblurError, match="not the file that was registered"):
        gate(project)


def test_without_the_export_folder_parity_comes_from_the_registration(project: Any) -> None:
    candidate(project, GAIN)
    project.export(0.5, difference=0.9)  # another model's parity: not this candidate's
    (parity,) = [result for result in gate(project).results if result.rule == "max_parity"]
    assert parity.figure == pytest.approx(2e-6)


def test_latency_is_the_median_without_the_first_run() -> None:
    class Slow:
        name, sha256, task, calls = "slow", "", "image", 0

        def __call__(self, batch: np.ndarray) -> np.ndarray:
            import time

            self.calls += 1
            time.sleep(0.2 if self.calls == 1 else 0.01)
            assert batch.shape == (1, 3, 8, 12)
            return batch

    assert 9 < latency_ms(Slow(), 8, 12, runs=3) < 100


def test_a_candidate_of_another_task_than_the_champion_is_not_compared(project: Any) -> None:
    champion(project, GAIN)
    candidate(project, GAIN + 0.1)
    tracking_client().set_model_version_tag("unblur", "2", "task", "burst")
    with pytest.raises(
        UnblurError, match=r"^unblur v2 is a model for burst, the champion unblur v1 one for image: they"
    ):
        run_gate(project.cfg, project.root)
    assert read_aliases(tracking_client(), "unblur")["champion"] == 1
