"""The temporary project of the registry's tests (tests/registry/conftest.py), for the services of ops/stack.sh."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("registry_conftest", Path(__file__).parents[1] / "registry/conftest.py")
assert _spec is not None
assert _spec.loader is not None
_registry = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_registry)

project = _registry.project
