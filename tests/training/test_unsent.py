"""What a training keeps while the server is away, and how it is sent, in a real store."""

import json

import numpy as np
import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.training.unsent import Unsent, send_unsent, waiting


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder with two metrics, a parameter, a picture and the end of a run that no server has seen."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "vogelbeere17")
    unsent = Unsent(tmp_path / "unsent" / "abc")
    unsent.begin("unblur", None, {"config_hash": "c" * 64})
    unsent.keep({"kind": "status", "status": "FINISHED"})
    unsent.keep({"kind": "params", "params": [("seed", "3"), ("told", "vogelbeere17")]})
    unsent.keep({"kind": "metrics", "metrics": [("loss", 0.5, 1_700_000_000_000, 0), ("nan", float("nan"), 1, 0)]})
    unsent.keep({"kind": "metrics", "metrics": [("loss", 0.25, 1_700_000_001_000, 1)]})
    image = np.random.default_rng(0).integers(0, 255, (8, 24, 3), dtype=np.uint8)
    unsent.keep({"kind": "image", "image": image, "key": "panel", "step": 1})
    return unsent


def test_everything_arrives_once_also_after_a_kill(kept, monkeypatch):
    kept.end()
    client = tracking_client()

    def killed(*_arguments, **_named):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "log_image", killed)
        with pytest.raises(RuntimeError, match="killed"):
            send_unsent(client, kept.folder)
    assert waiting(kept.folder.parents[1]) == [kept.folder]
    run_id = send_unsent(client, kept.folder)
    assert waiting(kept.folder.parents[1]) == []
    assert not list(kept.folder.parent.iterdir())

    (run,) = client.search_runs([client.get_experiment_by_name("unblur").experiment_id])
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == {"seed": "3", "told": "***"}
    assert run.data.tags["config_hash"] == "c" * 64
    history = client.get_metric_history(run_id, "loss")
    assert [(point.value, point.step, point.timestamp) for point in history] == [
        (0.5, 0, 1_700_000_000_000),
        (0.25, 1, 1_700_000_001_000),
    ]
    assert client.list_artifacts(run_id, "images")


def test_while_the_training_writes_nobody_sends(kept):
    with pytest.raises(UnblurError, match="another process is writing or sending it"):
        send_unsent(tracking_client(), kept.folder)
    assert kept.folder.is_dir()


def test_a_line_that_a_kill_has_cut_off_is_left_out_and_a_lost_beginning_is_told(kept):
    kept.end()
    journal = kept.folder / "journal.jsonl"
    text = journal.read_text()
    assert "vogelbeere17" not in text
    journal.write_text(text + '{"kind": "metr')
    client = tracking_client()
    assert "loss" in client.get_run(send_unsent(client, kept.folder)).data.metrics
    kept.folder.mkdir()
    journal.write_text(json.dumps({"kind": "status", "status": "FINISHED"}) + "\n")
    with pytest.raises(UnblurError, match="does not say which training it is of"):
        send_unsent(client, kept.folder)


def test_an_interrupted_training_goes_on_with_what_it_has_kept(kept):
    kept.end()
    again = Unsent(kept.folder)
    again.begin("unblur", None, {})
    again.keep({"kind": "metrics", "metrics": [("loss", 0.125, 1_700_000_002_000, 2)]})
    again.end()
    client = tracking_client()
    assert len(client.get_metric_history(send_unsent(client, kept.folder), "loss")) == 3
