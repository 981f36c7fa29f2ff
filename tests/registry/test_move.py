"""A move that is killed at any of its steps is finished by the next command."""

import os
import subprocess
import sys
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.ledger import read_ledger
from unblur.registry.move import PLAN_TAG
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases, read_version

# Ends the process, as a kill would, when a method of the client is called for the n-th time.
KILLED = """
import os, sys
from pathlib import Path
from mlflow import MlflowClient
from unblur.registry.promote import promote
from unblur.registry.rollback import rollback
what, method, left, root = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
real = getattr(MlflowClient, method)
def step(*arguments, **named):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
    return real(*arguments, **named)
setattr(MlflowClient, method, step)
promote("unblur", root, root / "artifacts/registry") if what == "promote" else rollback("unblur")
"""
STEPS = [("set_registered_model_alias", 1), ("set_tag", 1), ("delete_registered_model_tag", 1)]


def killed(what: str, method: str, call: int, project: Any) -> None:
    command = [sys.executable, "-c", KILLED, what, method, str(call), str(project.root)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert PLAN_TAG in tracking_client().get_registered_model("unblur").tags


def do(project: Any) -> Any:
    return promote("unblur", project.root, project.root / "artifacts/registry")


@pytest.fixture
def second(project: Any) -> Any:
    """Version 1 is champion, version 2 has passed the gate."""
    project.judged()
    do(project)
    project.judged()
    return project


@pytest.mark.parametrize(("method", "call"), [*STEPS, ("set_registered_model_alias", 2)])
def test_a_killed_promotion(second: Any, method: str, call: int) -> None:
    killed("promote", method, call, second)
    done = do(second)
    assert (done.moved, done.before, done.after) == (True, 1, 2)
    assert not do(second).moved
    client = tracking_client()
    assert read_aliases(client, "unblur") == {"candidate": 2, "champion": 2, "previous_champion": 1}
    assert [(line.before, line.after) for line in read_ledger(client, "unblur")] == [(None, 1), (1, 2)]
    assert PLAN_TAG not in client.get_registered_model("unblur").tags


@pytest.mark.parametrize(("method", "call"), [*STEPS, ("delete_registered_model_alias", 1)])
def test_a_killed_rollback(second: Any, method: str, call: int) -> None:
    do(second)
    killed("rollback", method, call, second)
    done = rollback("unblur", expected=2)  # finishes the first
    assert (done.before, done.after) == (2, 1)
    client = tracking_client()
    assert read_aliases(client, "unblur") == {"candidate": 2, "champion": 1}
    assert [line.action for line in read_ledger(client, "unblur")] == ["promote", "promote", "rollback"]
    assert "rolled_back" in read_version(client, "unblur", 2).tags


def test_what_somebody_has_moved_since_stays(second: Any) -> None:
    second.judged()
    killed("promote", "set_registered_model_alias", 1, second)
    tracking_client().set_registered_model_alias("unblur", "champion", "2")
    rollback("unblur")
    assert read_aliases(tracking_client(), "unblur")["champion"] == 1


@pytest.mark.parametrize("move", [do, lambda project: rollback("unblur")])
def test_a_stored_file_that_was_exchanged_moves_nothing(second: Any, move: Any) -> None:
    do(second)
    second.judged()
    before = read_aliases(tracking_client(), "unblur")
    for number in (1, 3):
        second.write(f"mlartifacts/judged/{number}/model.onnx", "another")
    with pytest.raises(UnblurError, match="not the file that was registered"):
        move(second)
    assert read_aliases(tracking_client(), "unblur") == before
    assert PLAN_TAG not in tracking_client().get_registered_model("unblur").tags
