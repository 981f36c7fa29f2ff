"""`dvc push` and `dvc pull` really move the data: through a folder, and through an S3 server on this machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = [pytest.mark.pipeline, pytest.mark.slow]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A git and DVC repository set up as this one is, with a small data/ recorded in it."""
    root = tmp_path_factory.mktemp("remotes") / "project"
    (root / ".dvc").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", root], check=True)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, root / name)
    (root / "data" / "photos").mkdir(parents=True)
    for index in range(3):
        (root / "data" / "photos" / f"{index}.png").write_bytes(os.urandom(2000))
    dvc(root, "add", "data")
    return root


def dvc(root, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env={**os.environ, "DVC_NO_ANALYTICS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"dvc {arguments}: {done.stderr}"


def contents(root):
    return {path.name: path.read_bytes() for path in (root / "data").rglob("*.png")}


def push_lose_and_pull(root, **environment):
    """Send the data away, lose it here, and fetch it again."""
    before = contents(root)
    assert len(before) == 3
    dvc(root, "push", "data.dvc", **environment)
    shutil.rmtree(root / "data")
    shutil.rmtree(root / ".dvc" / "cache")
    dvc(root, "pull", "data.dvc", **environment)
    assert contents(root) == before


def test_a_folder_is_a_remote(repository, tmp_path):
    dvc(repository, "remote", "add", "-d", "shelf", str(tmp_path / "shelf"))
    push_lose_and_pull(repository)
    assert len([path for path in (tmp_path / "shelf").rglob("*") if path.is_file()]) == 4  # three photos and their list


def test_an_s3_bucket_is_a_remote(repository, tmp_path):
    import boto3
    from moto.server import ThreadedMotoServer

    credentials = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "empty"),  # whatever this machine's user has set up stays out
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "empty"),
        "NO_PROXY": "127.0.0.1",
    }
    (tmp_path / "empty").touch()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="photos")
        dvc(repository, "remote", "add", "-d", "cloud", "s3://photos/unblur")
        # Where the server is belongs to the machine, not to the repository: config.local, which git ignores.
        dvc(repository, "remote", "modify", "--local", "cloud", "endpointurl", url)
        push_lose_and_pull(repository, **credentials)
        stored = client.list_objects_v2(Bucket="photos")["Contents"]
        assert len(stored) == 4
        assert all(item["Key"].startswith("unblur/files/md5/") for item in stored)
        assert url not in (repository / ".dvc" / "config").read_text()
    finally:
        server.stop()
