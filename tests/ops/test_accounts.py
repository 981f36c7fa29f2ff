"""MLflow's server with the options of ops/compose.yaml, behind passwords, on PostgreSQL and S3: who may do what."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from unblur.config.tracking import tracking_client
from unblur.errors import UnblurError
from unblur.registry.gate import run_gate
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.rollback import rollback
from unblur.registry.versions import read_aliases
from unblur.runtimes.restorer import load_restorer

pytestmark = [pytest.mark.services, pytest.mark.pipeline, pytest.mark.slow]

OPS = Path(__file__).parents[2] / "ops"
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


def test_the_administrator_promotes_and_the_reader_only_reads(project, on_stack, server, monkeypatch):
    def use(user, password):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

    def make_reader(password):
        command = [sys.executable, OPS / "reader.py"]
        subprocess.run(command, env={**os.environ, "READER_PASSWORD": password}, check=True)

    # what is promoted comes over the open server on the same database: this one takes 0.1 s for each password
    project.cfg.registry.model_name = project.cfg.registry.experiment = "guarded"
    for amount in (0.8, 0.8 + 1e-4):
        sha256 = project.export(amount)
        register(project.cfg, project.root)
        run_gate(project.cfg, project.root)
        promote("guarded", project.root, project.root / "artifacts/registry")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for user, password in (("", ""), ("admin", "guessed"), ("unblur-serve", READER)):
        use(user, password)
        with pytest.raises(UnblurError, match="the store refuses this user; check MLFLOW_TRACKING_USERNAME"):
            rollback("guarded")

    use("admin", ADMIN)
    make_reader(READER)

    use("unblur-serve", READER)
    assert load_restorer("models:/guarded@champion", threads=1).sha256 == sha256
    with pytest.raises(UnblurError, match="the store refuses this user"):
        rollback("guarded")
    assert read_aliases(tracking_client(), "guarded")["champion"] == 2

    use("admin", ADMIN)
    make_reader(OTHER)  # as compose does at each start, with the password that is set then
    use("unblur-serve", READER)
    with pytest.raises(UnblurError, match="refuses this user|not authenticated"):
        load_restorer("models:/guarded@champion", threads=1)
    use("unblur-serve", OTHER)
    assert load_restorer("models:/guarded@champion", threads=1).sha256 == sha256

    use("admin", ADMIN)
    assert rollback("guarded").after == 1
    assert read_aliases(tracking_client(), "guarded")["champion"] == 1


def test_a_page_of_another_host_s_name_is_refused(server):
    """What keeps a web page from reaching a server of the machine that it is shown on."""
    request = urllib.request.Request(f"{server}/api/2.0/mlflow/experiments/search", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 403
