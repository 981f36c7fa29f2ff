"""A whole run with credentials in its environment: nothing that it prints or writes holds one of them."""

import base64
import subprocess
import sys

import pytest

from unblur.cli import COMMANDS

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

SECRETS = {
    "MLFLOW_TRACKING_PASSWORD": "vogelbeere17",
    "MLFLOW_TRACKING_TOKEN": "holunderbusch23",
    "AWS_SECRET_ACCESS_KEY": "schlehe/dorn+42",
    "AWS_SESSION_TOKEN": "sanddornsaft99",
}
IN_ADDRESS = "hagebutte%2F61"  # that is hagebutte/61
BASIC = base64.b64encode(b"ada:hagebutte/61")


def test_no_secret_is_left_anywhere(project, tiny, tmp_path, monkeypatch, mlflow_server):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    said = ""

    def run(stage, *arguments, code=0):
        nonlocal said
        command = [sys.executable, "-m", COMMANDS[stage.replace("_", "-")].module, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        said += done.stdout + done.stderr

    (project / "dvc.yaml").write_text("stages: {}\n")
    with mlflow_server(tmp_path) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("http://", f"http://ada:{IN_ADDRESS}@"))
        run("compose", *tiny, "--out", "artifacts/config/pipeline.yaml")
        for stage in ("doctor", "check_data", "train", "evaluate", "export", "benchmark", "report", "register", "gate"):
            run(stage, *(() if stage == "doctor" else tiny))
        run("promote", "--why", f"as {SECRETS['MLFLOW_TRACKING_PASSWORD']} told http://ada:{IN_ADDRESS}@host")
        run("promote", "--history")
        run("rollback", "--debug", code=1)
        run("train", *tiny, f"data.shards=https://ada:{IN_ADDRESS}@host/shards", code=2)
        run("train", *tiny, f"data.name={SECRETS['AWS_SECRET_ACCESS_KEY']}", code=2)
    run("promote", "--debug", code=1)  # nobody answers any more
    run("train", *tiny, "seed=7")

    assert "View run" in said  # MLflow's line, which tells the whole address
    secrets = [value.encode() for value in (*SECRETS.values(), IN_ADDRESS, "hagebutte/61")] + [BASIC]
    assert not [secret for secret in secrets if secret in said.encode()]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"server.db", "journal.jsonl", "MODEL_CARD.md", "pipeline.yaml"} <= {path.name for path in files}
    assert not [path for path in files for secret in secrets if secret in path.read_bytes()]
