"""`unblur gate` as a real process: what a refusal looks like from outside."""

import subprocess
import sys
from typing import Any

import pytest
from omegaconf import OmegaConf

from unblur.commands.gate import explained, main, row, run
from unblur.config.tracking import tracking_client
from unblur.registry.register import register


@pytest.mark.pipeline
@pytest.mark.slow
def test_a_refusal_is_exit_code_3_and_one_line(project: Any) -> None:
    project.cfg.gate.min_gain = 9.0
    project.export(0.8)
    register(project.cfg, project.root)
    config = project.root / "pipeline.yaml"
    OmegaConf.save(OmegaConf.structured(project.cfg), config)
    command = [sys.executable, "-m", "unblur.commands.gate", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project.root)
    assert done.returncode == 3, done.stderr
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("error: The gate refuses unblur v1. min_gain: ")
    assert "at least 9 wanted, missed by " in error
    assert "Traceback" not in done.stderr
    assert "min_psnr" in done.stdout  # the table has the rules that hold, too
    assert tracking_client().get_model_version("unblur", "1").tags["gate"] == "refused"


def test_a_verdict_and_then_the_champion(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project.export(0.8)
    register(project.cfg, project.root)
    main.__wrapped__(project.cfg)
    said = capsys.readouterr().out
    assert "unblur v1 against no champion yet, 6 test pairs" in said
    assert "unblur promote --expect-champion none" in said
    tracking_client().set_registered_model_alias("unblur", "champion", "1")
    assert run(project.cfg) is None
    assert "is the champion already" in capsys.readouterr().out


def test_a_verdict_is_explained_by_strata(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project.export(0.8)
    register(project.cfg, project.root)
    explained.__wrapped__(project.cfg)
    said = capsys.readouterr().out
    assert "kind: shake" in said
    assert "difficulty" in said
    assert (project.root / "artifacts/registry/gate.png").read_bytes().startswith(b"\x89PNG")


def test_a_rule_that_could_not_be_measured_has_a_dash() -> None:
    from unblur.records.gate import RuleResult

    cells = row(RuleResult("max_parity", None, 1e-4, "", False, "unknown"))
    assert cells == ["max_parity", "-", "0.0001", "[bold]REFUSED[/bold]", "unknown"]
