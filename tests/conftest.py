# ruff: noqa: E402 (the environment has to be set before anything is imported)
"""Shared by all tests: one thread a process, no network talk, small synthetic photographs."""

import os

for name, value in {
    "OMP_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "DVC_NO_ANALYTICS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}.items():
    os.environ.setdefault(name, value)

import hashlib
import importlib.util
import json
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import unblur.config.tracking  # noqa: F401 (its defaults for MLflow are part of every test's environment)
from unblur.cli import COMMANDS

Photo = NDArray[np.uint8]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the pipeline and what else takes long: no process is left alone with it at the end.

    What needs a service that not every machine has runs only where it is asked for: `-m services`.
    """
    if "services" not in config.getoption("markexpr"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("services")])
        items[:] = [item for item in items if not item.get_closest_marker("services")]
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", item.get_closest_marker("slow") is None))


def environment_kept() -> Iterator[None]:
    """Nothing that a test leaves in the environment, or as MLflow's idea of its store, reaches the next one."""
    before = dict(os.environ)
    yield
    if "mlflow" in sys.modules:
        import mlflow

        mlflow.set_tracking_uri(None)  # which writes into the environment itself
        mlflow.set_registry_uri(None)
    running = os.environ.get("PYTEST_CURRENT_TEST")  # pytest's own, which it takes away itself
    os.environ.clear()
    os.environ.update(before)
    if running is not None:
        os.environ["PYTEST_CURRENT_TEST"] = running


@pytest.fixture(autouse=True)
def pillow_limit_kept() -> Iterator[None]:
    """Pillow's limit of pixels, which belongs to the process and commands set, is the same for every test."""
    before = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = before


environment_kept_by_test = pytest.fixture(environment_kept, autouse=True)
environment_kept_by_file = pytest.fixture(environment_kept, autouse=True, scope="module")


def draw_photo(height: int = 96, width: int = 128, seed: int = 0) -> Photo:
    """Draw a photograph with edges, texture and colour, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    image = np.stack([x / width, y / height, (x + y) / (height + width)], axis=-1)
    for _ in range(12):
        cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(4, max(5, min(height, width) / 4))
        image[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = rng.uniform(0, 1, 3)
    image += rng.normal(0, 0.02, image.shape)
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def make_photo() -> Callable[..., Photo]:
    """`make_photo(height, width, seed=0)`: a photograph, (H, W, 3) uint8."""
    return draw_photo


@pytest.fixture
def box_onnx(tmp_path: Path) -> Callable[..., Path]:
    """`box_onnx(side=3, name="box.onnx", height="height")`: the zero-padded mean over `side` x `side` pixels."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def make(side: int = 3, name: str = "box.onnx", height: str | int = "height") -> Path:
        kernel = np.full((3, 1, side, side), 1 / side**2, np.float32)
        node = helper.make_node("Conv", ["blur", "kernel"], ["restored"], group=3, pads=[side // 2] * 4)
        shape = ["batch", 3, height, "width"]
        graph = helper.make_graph(
            [node],
            "box",
            [helper.make_tensor_value_info("blur", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("restored", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(kernel, "kernel")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        return path

    return make


SPLITS = {"a": "train", "b": "train", "c": "val", "d": "test"}


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides for a training of eight steps on patches of 16 pixels."""
    return (
        "experiment=smoke",
        "data.patch_size=16",
        "data.min_side=16",
        "data.max_side={val: 48, test: 48}",
        "train.threads=1",
    )


@pytest.fixture(scope="session")
def make_pairs() -> Callable[[Path, Sequence[str]], None]:
    """`make_pairs(root, overrides)`: prepares the photographs of root/data, in place of pairs that are there."""
    from unblur.config.compose import checked, compose
    from unblur.config.instantiate import instantiate
    from unblur.data.manifest import read_sources
    from unblur.data.pairs import prepare_pairs

    def make(root: Path, overrides: Sequence[str]) -> None:
        cfg = checked(compose(list(overrides)))
        prepare_pairs(
            read_sources(root / "data"),
            root / "data",
            root / "artifacts" / "prepared",
            instantiate(cfg.blur),
            pairs_per_photo=cfg.data.pairs_per_photo,
            max_side=cfg.data.max_side,
            seed=cfg.data.pairs_seed,
        )

    return make


@pytest.fixture(scope="session")
def prepared_project(
    tmp_path_factory: pytest.TempPathFactory, tiny: tuple[str, ...], make_pairs: Callable[[Path, Sequence[str]], None]
) -> Path:
    """A folder with data/ (four tiny photographs) and artifacts/prepared, to be copied and not changed."""
    from unblur.data.images import write_png

    root = tmp_path_factory.mktemp("prepared_project")
    records = []
    for seed, (name, split) in enumerate(SPLITS.items()):
        path = root / "data" / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, draw_photo(64, 80, seed))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(
            {"file": f"photos/{name}.png", "split": split, "scene": name, "licence": "CC0", "sha256": digest}
        )
    (root / "data" / "SOURCES.json").write_text(json.dumps(records))
    make_pairs(root, tiny)
    return root


def load_project_module() -> Any:
    """Import tests/registry/project.py under one name, so that its cached store is made once a session."""
    name = "registry_project"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("registry") / "project.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def registered_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_photo: Callable[..., Any]) -> Any:
    """A project as the pipeline leaves it, with an empty MLflow store of its own: that of tests/registry and others."""
    made = load_project_module().make_project(tmp_path, make_photo)
    monkeypatch.setenv("UNBLUR_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return made


@pytest.fixture
def project(prepared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared project, which is the working folder of the test; MLflow's store is inside it."""
    root = tmp_path / "project"
    shutil.copytree(prepared_project, root)
    monkeypatch.chdir(root)
    monkeypatch.setenv("UNBLUR_ROOT", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


@pytest.fixture(scope="session")
def run_stage() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command of unblur in a process of its own: `run_stage("train", "seed=1")`; it has to succeed."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", COMMANDS[name.replace("_", "-")].module, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def mlflow_server() -> Callable[..., AbstractContextManager[tuple[str, Callable[[], None]]]]:
    """`with mlflow_server(folder, port) as (address, kill)`: a server; its SQLite file and artifacts outlive it.

    `options` are instead of those for store and artifacts, and go with more variables of the `environment`.
    """

    @contextmanager
    def serve(
        folder: Path, port: int | None = None, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        port = port or free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        here = (f"--backend-store-uri=sqlite:///{folder}/server.db", f"--artifacts-destination={folder}/artifacts")
        command += ["--workers", "1", *(options or here)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **(environment or {}), "PATH": path}
        environment.pop("MLFLOW_TRACKING_URI", None)
        with (
            (folder / "server.log").open("a") as log,
            subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True) as process,
        ):
            try:
                _wait_for(f"http://127.0.0.1:{port}/health", process)
                yield f"http://127.0.0.1:{port}", lambda: os.killpg(process.pid, signal.SIGKILL)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    return serve


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the server has ended; see server.log"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


class Stack:
    """PostgreSQL, an S3 server and MLflow's server on both, by ops/stack.sh; `environment` is what their users need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        words = shlex.split(self.call("start"), comments=True)
        self.environment = dict(word.split("=", 1) for word in words if "=" in word)

    def call(self, command: str, *parts: str) -> str:
        """`call("stop", "mlflow")`: run the script, which has to succeed, and return what it says."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [STACK, command, "--folder", self.folder, *parts],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def database(self, name: str) -> str:
        """Return the address of a new, empty database."""
        import psycopg

        address = self.environment["UNBLUR_STACK_DATABASE"]
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"{address}/{name}"


STACK = Path(__file__).parents[1] / "ops" / "stack.sh"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The services of this session; nothing of them is left after it."""
    folder = Path("/tmp") / f"unblur-stack-{secrets.token_hex(8)}"  # where the user postgres can get to
    try:
        started = Stack(folder)
        assert (
            started.call("start").splitlines()[0]
            == f"export MLFLOW_TRACKING_URI={started.environment['MLFLOW_TRACKING_URI']}"
        )
        yield started
    finally:
        subprocess.run([STACK, "stop", "--folder", folder], check=True)
    assert not folder.exists()
    ports = set(re.findall(r"127\.0\.0\.1:(\d+)", " ".join(started.environment.values())))
    assert len(ports) == 3
    for port in ports:
        with socket.socket() as caller:
            assert caller.connect_ex(("127.0.0.1", int(port))) != 0, f"something still listens at {port}"


@pytest.fixture
def on_stack(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The same, with its environment set for the test."""
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return stack


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """`make_video(path, frames, codec="ffv1", pixels="bgr0", rate=30, **options)`: a video of (H, W, 3) uint8 frames.

    The default keeps every byte; the ending of `path` decides the container.
    """
    import av

    def make(path, frames, codec="ffv1", pixels="bgr0", rate=30, **options):
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, options={"threads": "1", **options})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pixels
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path, str], str]]:
    """An S3 server on this machine: `bucket(folder, name)` uploads a folder's files and returns its s3:// URL."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    (tmp_path / "no_settings").touch()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_CONFIG_FILE": str(tmp_path / "no_settings"),  # whatever this machine's user has set up stays out
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no_settings"),
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="shelf")

    def upload(folder: Path, name: str) -> str:
        for path in folder.iterdir():
            client.upload_file(str(path), "shelf", f"{name}/{path.name}")
        return f"s3://shelf/{name}"

    yield upload
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        reset
    ).close()  # it is the process's, not the server's
    server.stop()


@pytest.fixture
def make_fake(tmp_path: Path) -> Callable[[str], tuple[Path, dict[str, int]]]:
    """`make_fake("gopro")`: (root of a tiny fake of that layout, its entries in each split)."""
    path = Path(__file__).parent / "ingest" / "layouts" / "fakes.py"
    spec = importlib.util.spec_from_file_location("layout_fakes", path)
    assert spec is not None
    assert spec.loader is not None
    fakes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fakes)

    def make(layout: str) -> tuple[Path, dict[str, int]]:
        root = tmp_path / "fakes" / layout
        root.mkdir(parents=True)
        return root, fakes.MAKERS[layout](root)

    return make


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A catalogue of its own, with an empty cache: `room(name, content, **entry)` adds a model and returns its file.

    The file comes with unblur unless the entry says otherwise; content None leaves it away.
    """
    import yaml

    from unblur.models import catalogue

    root = tmp_path / "room"
    (root / "entries").mkdir(parents=True)
    monkeypatch.setattr(catalogue, "ROOM", root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def add(name: str, content: bytes | None, **entry: object) -> Path:
        described = {
            "task": "image",
            "network": "a box blur",
            "parameters": 27,
            "licence": "CC0",
            "trained_on": "nothing",
            "published": [],
            "own": [],
            "source": {"wheel": name},
            "file": "model.onnx",
            "bytes": None if content is None else len(content),
            "sha256": None if content is None else hashlib.sha256(content).hexdigest(),
            "reads": "onnx",
            **entry,
        }
        (root / "entries" / f"{name}.yaml").write_text(yaml.safe_dump(described))
        model = catalogue.find(name)
        if content is not None and model.in_wheel:
            model.path.parent.mkdir(parents=True)
            model.path.write_bytes(content)
        return model.path

    return add
