"""Every operator of every recipe in conf/blur, found by itself: a new kind of blur is tested by being configured.

`operator` is each that has one point-spread function for the whole image; the others have tests of their own.
"""

from collections.abc import Iterator

import pytest
from omegaconf import OmegaConf

from unblur.blur.operator import Operator
from unblur.blur.recipe import BlurRecipe
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate


def recipes() -> dict[str, BlurRecipe]:
    files = sorted((config_dir() / "blur").glob("*.yaml"))
    return {file.stem: instantiate(OmegaConf.load(file)) for file in files}


def operators() -> Iterator[tuple[str, Operator]]:
    for name, recipe in recipes().items():
        for kind, operator in recipe.operators.items():
            yield f"{name}/{kind}", operator


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "operator" in metafunc.fixturenames:
        found = [(name, operator) for name, operator in operators() if hasattr(operator, "psf")]
        metafunc.parametrize("operator", [operator for _, operator in found], ids=[name for name, _ in found])
    if "configured_recipe" in metafunc.fixturenames:
        found_recipes = recipes()
        metafunc.parametrize("configured_recipe", list(found_recipes.values()), ids=list(found_recipes))
