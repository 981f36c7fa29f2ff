"""MLflow's server with the options of ops/compose.yaml, behind passwords, on PostgreSQL and S3: who may do what."""

import re
import runpy
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from unblur.config.tracking import ensure_experiment, store_errors, tracking_client
from unblur.errors import UnblurError
from unblur.registry.entry import entry
from unblur.registry.ledger import Ledger
from unblur.registry.move import move
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases, read_version
from unblur.runtimes.restorer import load_restorer
from unblur.safety.hashing import sha256_file

pytestmark = [pytest.mark.services, pytest.mark.pipeline, pytest.mark.slow]

OPS = Path(__file__).parents[2] / "ops"
NAME = "guarded"
ADMIN, READER, OTHER = "of-the-administrator", "of-the-reader", "the-reader's-next-one"


@pytest.fixture(scope="module")
def server(stack, mlflow_server, tmp_path_factory):
    """The address of the server."""
    service = yaml.safe_load((OPS / "compose.yaml").read_text(encoding="utf-8"))["services"]["mlflow"]
    options = [
        each
        for each in service["command"][1:]
        if not each.startswith(("--host=", "--port=", "--workers=", "--allowed-hosts="))  # of a container
    ]
    assert "--app-name=basic-auth" in options
    database = re.fullmatch(r"postgresql://(.+):(.+)@(.+):(.+)", stack.environment["UNBLUR_STACK_DATABASE"])
    environment = dict(zip(("PGUSER", "PGPASSWORD", "PGHOST", "PGPORT"), database.groups(), strict=True))
    environment |= {
        "MLFLOW_S3_ENDPOINT_URL": stack.environment["AWS_ENDPOINT_URL"],
        "MLFLOW_AUTH_CONFIG_PATH": str(OPS / "mlflow-auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "for-the-tests",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    assert environment.keys() <= service["environment"].keys() | {"PGPORT"}
    environment |= stack.environment
    with mlflow_server(tmp_path_factory.mktemp("server"), None, options, environment) as (address, _):
        yield address


def test_the_administrator_promotes_and_the_reader_only_reads(server, on_stack, box_onnx, monkeypatch):
    def use(user, password):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

    def make_reader(password):  # as compose does at each start, with the password that is set then
        use("admin", ADMIN)
        monkeypatch.setenv("READER_PASSWORD", password)
        runpy.run_path(str(OPS / "reader.py"))

    def refused(call):
        with pytest.raises(UnblurError, match="the store refuses this user; check MLFLOW_TRACKING_USERNAME"):
            call()

    # Over the open server on the same database: this one takes 0.1 s of a core for each password that it compares.
    client = tracking_client()
    client.create_registered_model(NAME)
    run = client.create_run(ensure_experiment(client, NAME)).info
    ledger = Ledger(client, NAME).read()
    for number, side in ((1, 3), (2, 5)):
        file = box_onnx(side, f"{number}/model.onnx")
        client.log_artifact(run.run_id, str(file), str(number))
        tags = {"model_sha256": sha256_file(file)}
        client.create_model_version(NAME, f"{run.artifact_uri}/{number}", run_id=run.run_id, tags=tags)
        line = entry("promote", NAME, ledger.champion, number, why="", by=None)
        assert move(ledger, line, read_version(client, NAME, number))
    before = {"champion": 2, "previous_champion": 1}
    assert read_aliases(client, NAME) == before

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    make_reader(READER)
    guarded = tracking_client()
    for user, password in (("", ""), ("admin", "guessed"), ("unblur-serve", OTHER)):
        use(user, password)
        refused(lambda: rollback(NAME))

    use("unblur-serve", READER)
    assert load_restorer(f"models:/{NAME}@champion", threads=1).sha256 == sha256_file(file)
    with pytest.raises(UnblurError, match="the store refuses this user"):
        in_one_line(lambda: guarded.set_registered_model_alias(NAME, "champion", "1"))
    assert read_aliases(client, NAME) == before

    make_reader(OTHER)
    use("unblur-serve", READER)
    refused(lambda: in_one_line(lambda: read_aliases(guarded, NAME)))
    use("unblur-serve", OTHER)
    assert read_aliases(guarded, NAME) == before

    use("admin", ADMIN)
    assert rollback(NAME).after == 1
    assert read_aliases(client, NAME) == {"champion": 1}


@store_errors()
def in_one_line(call):
    call()


def test_a_page_of_another_host_s_name_is_refused(server):
    """What keeps a web page from reaching a server of the machine that it is shown on."""
    request = urllib.request.Request(f"{server}/api/2.0/mlflow/experiments/search", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 403
