"""Every operator of every recipe in conf/blur, found by itself: a new kind of blur is tested by being configured.

`any_operator` is each of them, `operator` each that has one point-spread function for the whole image.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from omegaconf import OmegaConf

from unblur.blur.operator import Operator
from unblur.blur.recipe import BlurRecipe
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate


def recipes() -> dict[str, BlurRecipe]:
    files = sorted((config_dir() / "blur").glob("*.yaml"))
    loaded = {file.stem: OmegaConf.load(file) for file in files}
    return {name: instantiate(recipe) for name, recipe in loaded.items() if "operators" in recipe}


def operators() -> Iterator[tuple[str, Operator]]:
    for name, recipe in recipes().items():
        for kind, operator in recipe.operators.items():
            yield f"{name}/{kind}", operator


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "operator" in metafunc.fixturenames:
        found = [(name, operator) for name, operator in operators() if hasattr(operator, "psf")]
        metafunc.parametrize("operator", [operator for _, operator in found], ids=[name for name, _ in found])
    if "any_operator" in metafunc.fixturenames:
        every = list(operators())
        metafunc.parametrize("any_operator", [operator for _, operator in every], ids=[name for name, _ in every])
    if "configured_recipe" in metafunc.fixturenames:
        found_recipes = recipes()
        metafunc.parametrize("configured_recipe", list(found_recipes.values()), ids=list(found_recipes))


@pytest.fixture(scope="session")
def centre_of_mass():
    """Returns (y, x) of a PSF's mass in pixels from the middle pixel; (0, 0) when it is centred."""

    def centre(psf):
        offset = np.arange(psf.shape[0]) - psf.shape[0] // 2
        return float(psf.sum(axis=1) @ offset), float(psf.sum(axis=0) @ offset)

    return centre
