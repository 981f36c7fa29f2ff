"""The webhook, called by MLflow's own code and by its server."""

import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from mlflow.webhooks.delivery import _generate_hmac_signature as signature_of

from unblur.library.model import Model
from unblur.serving.app import make_app
from unblur.serving.served import Alias, Loaded, Served
from unblur.serving.settings import Settings

SECRET = "between MLflow and us"


class Same:
    """A restorer that changes nothing."""

    name, sha256, task = "same", "0" * 64, "image"

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return batch


@pytest.fixture
def followed(serve: Callable) -> tuple[Served, list[str], str]:
    """What is served, where its alias leads, and the server's address; nobody looks but for a call."""
    leads_to = ["1"]
    alias = Alias(lambda: leads_to[0], lambda reference: Model(Same()), seconds=3600)
    served = Served(Loaded(Model(Same()), "1"), alias, tile=64)
    _, address = serve(make_app(served, Settings(keys=("0" * 64,), webhook_secret=SECRET)))
    return served, leads_to, address


def becomes(served: Served, reference: str) -> bool:
    until = time.monotonic() + 30
    while served.now.reference != reference and time.monotonic() < until:
        time.sleep(0.05)
    return served.now.reference == reference


def call(address: str, body: str, secret: str = SECRET, age: int = 0, **changed: str) -> int:
    timestamp = str(int(time.time()) - age)
    headers = {"X-MLflow-Delivery-Id": "id", "X-MLflow-Timestamp": timestamp}
    headers["X-MLflow-Signature"] = signature_of(secret, "id", timestamp, body)
    return httpx.post(f"{address}/hooks/mlflow", content=body, headers=headers | changed).status_code


def test_a_signed_call_exchanges_the_model(followed):
    served, leads_to, address = followed
    leads_to[0] = "2"
    assert call(address, '{"entity": "model_version_alias"}') == 202  # and no API key
    assert becomes(served, "2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another"},
        {"age": 301},
        {"age": -301},
        {"X-MLflow-Timestamp": "1"},
        {"X-MLflow-Timestamp": "soon"},
        {"X-MLflow-Delivery-Id": "other"},
        {"X-MLflow-Signature": ""},
        {"X-MLflow-Signature": "v1,"},
    ],
    ids=str,
)
def test_what_is_not_signed_with_the_secret_is_refused(followed, wrong):
    served, leads_to, address = followed
    leads_to[0] = "2"
    assert call(address, "{}", **wrong) == 401
    assert served.now.reference == "1"
    assert served.exchanges == 0


def test_large_bodies_are_refused(followed):
    _, _, address = followed
    assert call(address, "x" * 70_000) == 413


def test_without_a_secret_there_is_no_such_address(serve):
    _, address = serve(make_app(Served(Loaded(Model(Same())), tile=64), Settings()))
    assert call(address, "{}", secret="") == 404


@pytest.mark.slow
@pytest.mark.pipeline
def test_a_server_of_mlflow_calls_it(followed, mlflow_server, tmp_path, monkeypatch):
    served, leads_to, address = followed
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=")
    with mlflow_server(tmp_path) as (tracking, _):
        client = MlflowClient(tracking, tracking)
        client.create_webhook("serve", f"{address}/hooks/mlflow", ["model_version_alias.created"], secret=SECRET)
        client.create_registered_model("unblur")
        run = client.create_run(client.create_experiment("e"))
        version = client.create_model_version("unblur", f"{run.info.artifact_uri}/model", run.info.run_id).version
        leads_to[0] = "2"
        client.set_registered_model_alias("unblur", "champion", version)
        assert becomes(served, "2"), (tmp_path / "server.log").read_text()[-2000:]
