"""The temporary project of the registry's tests."""

import importlib.util
import sys
from collections.abc import Callable
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
