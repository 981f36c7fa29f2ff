"""The commands of docs/operations.md, run as they stand, in their order."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from unblur.config.tracking import tracking_client
from unblur.registry.gate import run_gate
from unblur.registry.ledger import read_ledger
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.versions import read_aliases

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
PIPELINE = "stages:\n  compose:\n    cmd: 'true'\n"


@pytest.mark.pipeline
@pytest.mark.slow
def test_the_runbook_runs(project: Any) -> None:
    root = project.root
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(lines: str) -> None:
        shell = ["bash", "-e", "-c", lines]
        done = subprocess.run(shell, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"

    project.export(0.8)
    register(project.cfg, root)
    run_gate(project.cfg, root)
    promote("unblur", root, root / project.cfg.paths.registry)
    project.export(0.8001)
    OmegaConf.save(OmegaConf.structured(project.cfg), root / "artifacts/config/pipeline.yaml")
    project.write("dvc.yaml", PIPELINE)
    (root / "data.dvc").unlink()  # its data is made up
    run(
        "git init -q && dvc init -q && git add -A && dvc repro && dvc remote add -d store .store && dvc remote add keys s3://bucket/x"
    )
    project.write("data.dvc", "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: data\n")

    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 8
    seen = []
    for block in blocks:
        run(block)
        seen.append(read_aliases(tracking_client(), "unblur")["champion"])
    assert seen == [1, 2, 1, 1, 1, 1, 1, 1]
    assert [line.action for line in read_ledger(tracking_client(), "unblur")] == ["promote", "promote", "rollback"]
    assert (root / "artifacts/registry/gate.png").is_file()
    assert (root / "mlartifacts.broken").is_dir()
    assert {each["name"]: each["state"] for each in json.loads((root / "health.json").read_text())}["ledger"] == "ok"
