"""What is explained of pictures that leave little to say: no correction, hardly any pixels."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from unblur.errors import UnblurError, UsageError
from unblur.explaining.photo import Asked, explain_frames
from unblur.networks.nafnet import NAFNet


@pytest.fixture
def idle():
    """A model that corrects nothing, as a new NAFNet does."""
    network = NAFNet(width=4, encoder_blocks=[1], middle_blocks=1, decoder_blocks=[1]).eval()
    return SimpleNamespace(network=network, task="image", name="idle", sha256="0" * 64)


def test_a_model_that_corrects_nothing_is_explained(idle, make_photo, tmp_path):
    asked = Asked(at=(np.int64(40), np.int64(30)), size=16, methods=("grouped_gradients", "intervention"))
    found = explain_frames(idle, make_photo(48, 72)[None], "photo", asked)
    assert found.sentences[1].startswith("The model corrects nothing in the marked region")
    found.write(str(tmp_path / "new" / "why"))
    assert json.loads((tmp_path / "new/why/explanation.json").read_text())["region"] == {
        "left": 32,
        "top": 22,
        "size": 16,
    }


@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_of_one_colour_is_explained(idle, level):
    frames = np.full((1, 32, 40, 3), level, np.uint8)
    found = explain_frames(idle, frames, "photo", Asked(size=8, methods=("intervention",)))
    assert len(found.fidelity) == 1


def test_a_map_that_is_not_there_is_told_before_anything_is_restored(idle, make_photo):
    idle.network.forward = None
    with pytest.raises(UsageError, match="lamm: no such map"):
        explain_frames(idle, make_photo(48, 72)[None], "photo", Asked(methods=("lamm",)))


def test_a_picture_that_is_too_small_is_refused(idle, make_photo):
    with pytest.raises(UnblurError, match="photo: is 72 x 12 pixels, too small to explain; expected 16 or more"):
        explain_frames(idle, make_photo(12, 72)[None], "photo")
