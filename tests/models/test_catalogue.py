import re

import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.models.catalogue import ROOM, catalogue, find
from unblur.safety.hashing import sha256_file


def test_the_first_entries_are_there():
    names = [model.name for model in catalogue()]
    assert {"box", "box_fast", "nafnet-reds"} <= set(names)
    assert names[names.index("maxim-gopro") :][:3] == ["maxim-gopro", "maxim-gopro-2", "maxim-gopro-1"]


@pytest.mark.contract
@pytest.mark.parametrize("model", catalogue(), ids=lambda model: model.name)
def test_an_entry_says_where_its_file_comes_from_and_what_it_is(model):
    assert model.task in {"image", "burst", "video"}
    assert model.reads in {"onnx", "maxim"}
    assert model.licence
    assert model.trained_on
    assert len(model.source) == 1
    for figure in (*model.published, *model.own):
        assert figure.value
        assert figure.where
    if model.planned:
        assert not model.path.is_file(), f"{model.path} is there: write its SHA-256 into entries/{model.name}.yaml"
        return
    assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    assert model.bytes
    if model.in_wheel:
        assert (model.path.stat().st_size, sha256_file(model.path)) == (model.bytes, model.sha256)
        assert (model.path.parent / "card.md").is_file()
    if model.reference:
        with np.load(model.reference) as stored:
            assert stored["x"].dtype == np.uint8
            assert stored["x"].shape == stored["y"].shape


def test_stages_share_a_file_but_not_the_figures_of_the_whole():
    whole, one = find("maxim-gopro"), find("maxim-gopro-1")
    assert (whole.stages, one.stages) == (3, 1)
    assert whole.path == one.path
    assert (one.network, one.published, one.reference) == ("MAXIM-1S (Tu et al. 2022)", (), None)
    assert ROOM not in whole.path.parents


def test_parameters_are_those_of_the_networks():
    import torch

    from unblur.networks.maxim import MAXIM

    for name in ("maxim-gopro", "maxim-gopro-2", "maxim-gopro-1"):
        model = find(name)
        with torch.device("meta"):
            network = MAXIM(width=32, stages=model.stages, groups=2, bottleneck_blocks=2)
        assert sum(parameter.numel() for parameter in network.parameters()) == model.parameters


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UnblurError, match=r"maxim-gpro: no model of that name; did you mean 'maxim-gopro'\?"):
        find("maxim-gpro")
    with pytest.raises(UnblurError, match="`unblur models` lists them"):
        find("zzz")


def test_a_model_that_is_planned_is_one_without_a_file(room):
    room("box", None)
    room("ready", b"content")
    assert [(model.name, model.planned) for model in catalogue()] == [("box", True), ("ready", False)]
    find("ready").path.unlink()
    assert find("ready").planned
