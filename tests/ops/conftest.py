"""The temporary project of the registry, for the tests of the services of ops/stack.sh."""

from typing import Any

import pytest


@pytest.fixture
def project(registered_project: Any) -> Any:
    """A project as the pipeline leaves it, with an empty MLflow store of its own."""
    return registered_project
