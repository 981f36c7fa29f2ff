"""gate.json on disk and in MLflow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import GateRefusedError, UnblurError
from unblur.records.gate import GateRecord, RuleResult, Subject, differences, read_record, write_record
from unblur.registry.record import find_record, publish
from unblur.registry.versions import read_aliases, read_version

SUBJECT = Subject(
    "unblur", 2, "a" * 64, 1, "b" * 64, "abc.dir", "c" * 64, {"min_psnr": 24.0, "latency_size": [720, 1280]}
)
GOOD = RuleResult("min_psnr", 25.0, 24.0, "dB", True, "mean")
BAD = RuleResult("max_size_mb", 60.0, 50.0, "MB", False, "")
PASSED = GateRecord(SUBJECT, True, [GOOD], 6, {"candidate": 25.0}, "x86_64", "2026-01-01T00:00:00+00:00")
REFUSED = replace(
    PASSED, passed=False, results=[GOOD, BAD, replace(BAD, rule="max_parity", figure=None, note="unknown")]
)


def test_it_reads_back_as_it_was_written(tmp_path: Path) -> None:
    for record in (PASSED, REFUSED, replace(PASSED, subject=replace(SUBJECT, champion=None, champion_sha256=None))):
        assert read_record(write_record(record, tmp_path)) == record


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"subject": {}}', '{"subject": {"model": "x"}, "results": []}'])
def test_anything_else_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "gate.json"
    path.write_text(content)
    with pytest.raises(UnblurError, match=r"gate\.json: .*`unblur gate`"):
        read_record(path)


def test_a_refusal_names_what_failed_and_by_how_much() -> None:
    PASSED.require_passed()
    with pytest.raises(GateRefusedError) as refused:
        REFUSED.require_passed()
    assert str(refused.value) == (
        "The gate refuses unblur v2. max_size_mb: 60 MB, at most 50 wanted, missed by 10 MB; "
        "max_parity: not measured (unknown)"
    )
    assert refused.value.exit_code == 3


def test_differences_are_named() -> None:
    assert differences(SUBJECT, replace(SUBJECT, data_md5="x", rules={})) == ["data_md5", "rules"]


def test_the_verdict_is_found_on_disk_and_else_in_mlflow(project: Any, tmp_path: Path) -> None:
    project.judged()
    client = tracking_client()
    for tag in ("gate", "gate_sha256"):
        client.delete_model_version_tag("unblur", "1", tag)
    client.delete_registered_model_alias("unblur", "challenger")
    version = read_version(client, "unblur", 1)
    folder = tmp_path / "out"
    assert find_record(client, version, folder) is None
    path = write_record(PASSED, folder)
    publish(client, version, path, PASSED, challenger=None)
    assert read_aliases(client, "unblur")["challenger"] == 1
    version = read_version(client, "unblur", 1)
    assert find_record(client, version, folder) == PASSED
    assert find_record(client, version, tmp_path / "nowhere") == PASSED
    path.write_text(path.read_text().replace("25.0", "95.0"))
    assert find_record(client, version, folder) == PASSED  # MLflow's, since the file was changed

    publish(client, version, write_record(REFUSED, folder), REFUSED, challenger=1)
    assert "challenger" not in read_aliases(client, "unblur")
    client.set_model_version_tag("unblur", "1", "gate_sha256", "0" * 64)
    assert find_record(client, read_version(client, "unblur", 1), folder) is None
