"""`unblur why` on a project of one stage; tests/test_pipeline.py asks it about the whole pipeline."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unblur.commands.why import dvc_status, main
from unblur.errors import UnblurError

CONFIG = "artifacts/config/pipeline.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project whose only stage writes a file, and ran with trainer.max_epochs of the preset smoke."""
    stage = {
        "cmd": f"{sys.executable} -c \"open('out', 'w').write('x')\"",
        "deps": ["source"],
        "params": [{CONFIG: ["trainer.max_epochs"]}, {"artifacts/config/code/report.json": None}],
        "outs": ["out"],
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"report": stage}}))
    (tmp_path / "params.yaml").write_text("overrides: [experiment=smoke]\n")
    (tmp_path / "source").write_text("1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], check=True)
    compose = ["--params", "params.yaml", "--out", CONFIG, "--code", "artifacts/config/code"]
    subprocess.run([sys.executable, "-m", "unblur.stages.compose", *compose], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], check=True)
    return tmp_path


@pytest.mark.pipeline
@pytest.mark.slow
def test_what_is_stale_and_why(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.__wrapped__([]) == 0
    assert "nothing is stale" in capsys.readouterr().out
    (project / "source").write_text("2")
    (project / "params.yaml").write_text("overrides: [experiment=smoke, trainer.max_epochs=7]\n")
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text().replace("reporting/report.py: code:", "reporting/report.py: code:0"))
    assert main.__wrapped__([]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "module reporting/report.py: changed" in told
    assert "key trainer.max_epochs: 7, was" in told
    assert "file source: changed" in told


def test_without_dvc_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match=r"`dvc status` fails: .*DVC repository"):
        dvc_status(tmp_path)
