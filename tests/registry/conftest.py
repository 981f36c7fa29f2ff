"""The temporary project of the registry's tests."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def load_project_module() -> Any:
    """Import project.py beside this file under one name, so that its cached store is made once a session."""
    name = "registry_project"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("project.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_photo: Callable[..., Any]) -> Any:
    """A project as the pipeline leaves it, with an empty MLflow store of its own."""
    made = load_project_module().make_project(tmp_path, make_photo)
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return made


PROGRAMS = ("initdb", "pg_ctl", "createdb")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[str], str]]:
    """`postgresql("name")`: the address of a new, empty database, of a PostgreSQL server that ends with the session."""
    folders = [Path(which).parent for name in PROGRAMS if (which := shutil.which(name))]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's, which are not in PATH
    programs = next((each for each in folders if all((each / name).exists() for name in PROGRAMS)), None)
    if programs is None or importlib.util.find_spec("psycopg") is None:
        pytest.fail("needs PostgreSQL and its driver: apt-get install postgresql; pip install 'psycopg[binary]'")
    folder = Path(tempfile.mkdtemp(prefix="unblur-postgresql-", dir="/tmp"))  # the path of a socket has to be short
    user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
    if user:
        shutil.chown(folder, user)

    def call(name: str, *arguments: str | Path) -> None:
        with (folder / "log").open("a") as log:
            done = subprocess.run([programs / name, *arguments], user=user, cwd=folder, stdout=log, stderr=log)
        assert done.returncode == 0, (folder / "log").read_text()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    data = ("--pgdata", folder / "data")
    (folder / "password").write_text("tests-alone")
    ways = ("--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", folder / "password")
    call("initdb", *data, *ways, "--username", "unblur", "--no-sync")
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    call("pg_ctl", *data, "--options", options, "--wait", "start")

    def create(name: str) -> str:
        call("createdb", "--host", folder, "--port", port, "--username", "unblur", name)
        return f"postgresql://unblur:tests-alone@127.0.0.1:{port}/{name}"

    try:
        yield create
    finally:
        call("pg_ctl", *data, "--mode", "immediate", "stop")
        shutil.rmtree(folder)
