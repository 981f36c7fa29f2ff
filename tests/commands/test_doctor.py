import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from unblur.commands.doctor import findings, main, model_rows
from unblur.commands.doctor_checks import clock, disk, dvc_remote, registry
from unblur.config.compose import config_dir
from unblur.config.tracking import tracking_client
from unblur.registry.promote import promote


@pytest.fixture(scope="module")
def table():
    return {name: (task, float(parameters), float(macs)) for name, task, parameters, macs in model_rows()}


def test_every_configured_network_is_in_the_table(table):
    assert set(table) == {path.stem for path in (config_dir() / "model").glob("*.yaml")}


@pytest.mark.parametrize(
    ("name", "task", "parameters", "macs"),
    [
        ("nafnet", "image", 17.11, 16.0),  # Chen et al. 2022
        ("nafnet64", "image", 67.89, 63.2),  # official repository
        ("restormer", "image", 26.13, 154.9),  # Zamir et al. 2022: 26.13 M; 140.99 G without the attention's products
    ],
)
def test_figures_are_those_of_the_papers(table, name, task, parameters, macs):
    assert table[name][0] == task
    assert table[name][1] == pytest.approx(parameters, abs=0.006)
    assert table[name][2] == pytest.approx(macs, rel=0.02)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A project folder of its own, with nothing in it."""
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_name(found):
    return {each.name: each for each in found}


def test_the_machine_is_described():
    found = by_name(findings())
    assert found["torch"].found.startswith("2.")
    assert "cores" in found["CPU"].found
    assert {"Python", "GPU", "disk", "clock", "DVC remote", "MLflow's store"} <= set(found)
    assert all(each.mend for each in found.values() if each.state != "ok")


def test_nothing_is_made_where_there_is_no_store(place):
    (only,) = registry("unblur")
    assert (only.name, only.state) == ("MLflow's store", "note")
    assert not list(place.iterdir())


def test_the_password_of_the_store_is_not_shown(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hidden@127.0.0.1:9/x")  # nobody listens there
    (only,) = registry("unblur")
    assert only.state == "problem"
    assert "http://***@127.0.0.1:9/x: the store, or where it keeps its files, does not answer" in only.found
    assert "hidden" not in only.found


def test_json_and_the_exit_code_tell_of_a_problem(place, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["doctor", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert {each["state"] for each in json.loads(capsys.readouterr().out)} <= {"ok", "note"}
    (place / "mlflow.db").write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (broken,) = (each for each in json.loads(capsys.readouterr().out) if each["state"] == "problem")
    assert broken["name"] == "MLflow's store"
    assert "is empty" in broken["found"]
    assert broken["mend"]


def test_the_clock_is_compared_with_the_last_commit(place):
    def commit(when):
        settings = {**os.environ, **{f"GIT_{who}_DATE": f"{when} +0000" for who in ("AUTHOR", "COMMITTER")}}
        settings |= {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        subprocess.run(["git", "commit", "--allow-empty", "-qm", "x"], cwd=place, env=settings, check=True)

    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    commit(int(time.time()) - 1000)
    assert clock(place).state == "ok"
    commit(int(time.time()) + 1000)
    behind = clock(place)
    assert behind.state == "problem"
    assert behind.found.startswith("-")
    assert "the last commit's" in behind.found


class Slow(BaseHTTPRequestHandler):
    """A server that wants a password, and whose clock is an hour behind."""

    def do_GET(self):
        self.send_response_only(401)
        self.send_header("Date", formatdate(time.time() - 3600, usegmt=True))
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


def test_the_clock_is_compared_with_the_server_even_if_it_refuses(place):
    with HTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = clock(place, f"http://me:hidden@127.0.0.1:{server.server_port}/")
    assert found.state == "problem"
    assert found.found in {"+3600 s from MLflow's server's", "+3601 s from MLflow's server's"}


def test_a_disk_that_cannot_be_written_is_a_problem(place, monkeypatch):
    assert disk(place).state in {"ok", "note"}
    assert disk(type(place)("/proc")).state == "problem"


def test_the_remote_of_dvc_is_asked(place):
    def dvc(*command):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=place, check=True, capture_output=True)

    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    dvc("init")
    assert dvc_remote(place).found == "no default one"
    dvc("remote", "add", "--default", "store", str(place / "store"))
    assert (dvc_remote(place).state, dvc_remote(place).mend) == ("note", "dvc push --run-cache")
    (place / "data.txt").write_text("x")
    dvc("add", "data.txt")
    dvc("push")
    assert dvc_remote(place).state == "ok"
    config = place / ".dvc/config"
    config.write_text(config.read_text().replace("remote = store", "remote = absent"))
    assert dvc_remote(place).state == "problem"


def test_champion_and_ledger_are_looked_at(project):
    assert by_name(registry("unblur"))["champion"].state == "note"
    for _ in range(2):
        project.judged()
        promote("unblur", project.root, project.root / "artifacts/registry")
    found = by_name(registry("unblur"))
    assert {each.state for each in found.values()} == {"ok"}
    assert found["ledger"].found == "2 moves, the last to v2"
    client = tracking_client()
    client.set_registered_model_alias("unblur", "champion", "1")
    moved = by_name(registry("unblur"))["ledger"]
    assert moved.state == "problem"
    assert moved.found == "ends with v2, the champion is v1: the alias was set without unblur"
    client.set_registered_model_tag("unblur", "ledger_shown", "1")
    assert "do not show its last move" in by_name(registry("unblur"))["ledger"].found
    client.delete_model_version("unblur.ledger", "2")
    client.set_registered_model_tag("unblur", "ledger_shown", "2")
    notes = [each.found for each in registry("unblur") if each.state == "note"]
    assert notes == ["its version 2 was deleted"]
    (project.root / "mlartifacts/judged/1/model.onnx").write_text("another")
    lost = by_name(registry("unblur"))["champion"]
    assert lost.state == "problem"
    assert "not the file that was registered" in lost.found


def test_what_is_missing_is_told_with_its_use_and_what_comes_next_fits_the_place(place, monkeypatch):
    def version(package):
        if package in ("av", "torch"):
            raise importlib.metadata.PackageNotFoundError
        return "1"

    monkeypatch.setattr("importlib.metadata.version", version)
    found = {finding.name: finding for finding in findings()}
    assert (found["av"].found, found["av"].mend) == ("missing: videos", "pip install 'unblur[video]'")
    assert (found["torch"].found, found["fastapi"].found) == ("missing: training, explaining", "1")
    monkeypatch.undo()
    told = {}
    for folder in ("photographs", "project"):
        (place / folder).mkdir()
        if folder == "project":
            (place / folder / "dvc.yaml").touch()
        settings = os.environ | {"UNBLUR_ROOT": str(place / folder)}
        command = [sys.executable, "-m", "unblur.commands.doctor"]
        told[folder] = subprocess.run(command, capture_output=True, text=True, check=False, env=settings).stdout
    assert "unblur serve " in told["photographs"]
    assert "make repro     the whole pipeline" in told["project"]
    assert "make repro     the whole pipeline" not in told["photographs"]
