"""The command line's promises: quick help, exit codes, one line for a mistake."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from unblur.cli import COMMANDS


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "unblur", *arguments], capture_output=True, text=True, cwd=cwd)


def test_help_lists_every_command():
    done = run("--help")
    assert done.returncode == 0
    for name, command in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert command.help in done.stdout


def test_a_damaged_picture_is_told_in_our_line_alone(tmp_path, make_photo):
    whole = cv2.imencode(".png", make_photo())[1].tobytes()
    (tmp_path / "damaged.png").write_bytes(whole.replace(b"IDAT", b"\0\0\0\1"))  # which OpenCV warns of
    done = run("restore", str(tmp_path / "damaged.png"), str(tmp_path / "out.png"), "--model", "box_fast")
    assert done.returncode == 1
    assert "WARN" not in done.stderr, done.stderr
    assert not (tmp_path / "out.png").exists()


def test_help_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "unblur", "--help"], capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert not imported & {"torch", "hydra", "omegaconf", "lightning", "mlflow", "rich", "numpy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module(name):
    assert importlib.util.find_spec(COMMANDS[name].module) is not None


def test_unknown_command_names_the_nearest_and_exits_2():
    done = run("trian")
    assert done.returncode == 2
    assert done.stderr == "error: there is no command 'trian'; did you mean 'train'?\n"


def test_version():
    assert run("--version").stdout.startswith("unblur 0.")


def test_typo_in_an_override_exits_2_with_one_line():
    done = run("train", "trainer.max_epoch=3")
    assert done.returncode == 2
    assert "did you mean 'trainer.max_epochs'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_cfg_job_prints_the_configuration_without_running(tmp_path):
    for arguments in (("--cfg", "job", "experiment=smoke"), ("experiment=smoke", "--cfg", "job", "seed=9")):
        done = run("train", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "_target_: unblur.networks.nafnet.NAFNet" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_users_mistake_is_one_line_and_a_traceback_only_with_debug(tmp_path):
    done = run("train", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("train", "--debug", cwd=tmp_path).stderr


def test_compose_writes_the_file_that_config_takes(tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: mine")
    assert "mine.yaml: is there already" in run("compose", "--out", "mine.yaml", cwd=tmp_path).stderr
    assert (tmp_path / "mine.yaml").read_text() == "seed: mine"
    assert run("compose", "--out", "made/pipeline.yaml", cwd=tmp_path).returncode == 0
    done = run("compose", "experiment=smoke", "--out", "made/pipeline.yaml", "seed=7", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("train", "--config", "made/pipeline.yaml", "--cfg", "job", cwd=tmp_path)
    assert "seed: 7" in done.stdout
    assert "experiment" in done.stdout
    done = run("train", "--config", "made/missing.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "missing.yaml" in done.stderr


EVIL = "hydra: {callbacks: {x: {_target_: os.mkdir, path: owned}}}\n"


def test_a_configuration_file_cannot_have_hydra_run_something(tmp_path):
    (tmp_path / "evil.yaml").write_text(EVIL)
    (tmp_path / "evil.txt").write_text("seed: 0\n")
    for options in (
        ("--config", "evil.yaml"),
        ("--config", "evil.txt"),
        ("--config-path", str(tmp_path), "--config-name", "evil"),
        (f"--config-path={tmp_path}", "--config-name=evil"),
        ("-cp", str(tmp_path), "-cn", "evil"),
        ("+hydra.callbacks.x._target_=os.mkdir", "+hydra.callbacks.x.path=owned"),
        ("+callbacks@hydra.callbacks=default",),
    ):
        done = run("summary", *options, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "owned").exists()
