"""Official checkpoints: references/*_tiny.pth and .npz were made with the official code, random weights, fp32, CPU."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.errors import UnblurError
from unblur.networks.estrnn import ESTRNN
from unblur.networks.nafnet import NAFNet
from unblur.networks.official import load_official, read_official
from unblur.networks.restormer import Restormer

REFERENCES = Path(__file__).parent / "references"


def reference(name, key="y"):
    arrays = np.load(REFERENCES / f"{name}.npz")
    return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays[key])


def shaken(network):
    """Every parameter away from its start, so that no output is trivial."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("name", ["nafnet_tiny", "restormer_tiny"])
def test_official_weights_give_the_official_output(name):
    blur, expected = reference(name)
    with torch.no_grad():
        assert (load_official(REFERENCES / f"{name}.pth")(blur) - expected).abs().max() < 1e-5


def test_estrnn_gives_the_frames_that_the_official_code_returns():
    """It leaves out two frames at each end of six; its frames are centred on zero."""
    centred, expected = reference("estrnn_tiny")
    path = REFERENCES / "estrnn_tiny.pth"
    with torch.no_grad():
        assert (load_official(path, raw=True)(centred)[:, 2:4] - expected).abs().max() < 1e-5
        assert (load_official(path)(centred + 0.5)[:, 2:4] - 0.5 - expected).abs().max() < 1e-5


def test_local_statistics_are_the_official_ones():
    """NAFNetLocal at a training size of 16."""
    blur, expected = reference("nafnet_tiny_local", "y_local")
    official = read_official(REFERENCES / "nafnet_tiny.pth")
    network = NAFNet(**official.arguments, statistics="local", train_size=16)
    network.load_state_dict(official.state)
    with torch.no_grad():
        assert (network.eval()(blur) - expected).abs().max() < 1e-5
        assert (load_official(REFERENCES / "nafnet_tiny.pth")(blur) - expected).abs().max() > 1e-5


NAFNETS = [
    {"width": 6, "encoder_blocks": [1, 2, 0, 0], "middle_blocks": 3, "decoder_blocks": [0, 1, 2, 1]},
    {"in_channels": 6, "width": 4, "encoder_blocks": [12], "middle_blocks": 1, "decoder_blocks": [1]},
]
RESTORMERS = [
    {"width": 24, "blocks": [1, 2, 1, 3], "refinement_blocks": 2, "heads": [1, 2, 4, 8], "expansion": 2.66},
    {"width": 12, "blocks": [2, 1, 1, 1], "heads": [3, 2, 6, 4], "expansion": 1.37, "norm_bias": False},
]
ESTRNNS = [{"width": 6, "blocks": 11}, {"width": 4, "blocks": 1, "past": 1, "future": 1}]


@pytest.mark.parametrize(
    ("family", "arguments"),
    [(NAFNet, a) for a in NAFNETS] + [(Restormer, a) for a in RESTORMERS] + [(ESTRNN, a) for a in ESTRNNS],
)
@pytest.mark.parametrize("wrap", ["params", "state_dict", None])
def test_other_widths_depths_and_heads_are_read_off_the_shapes(tmp_path, family, arguments, wrap):
    network = shaken(family(**arguments))
    state = network.state_dict()
    if family is Restormer:
        state = {official_name(name, len(arguments["blocks"])): value for name, value in state.items()}
    if wrap == "state_dict":
        state = {f"module.model.{name}": value for name, value in state.items()}
    torch.save({wrap: state, "epoch": 3} if wrap else state, tmp_path / "net.pth")
    loaded = load_official(tmp_path / "net.pth")
    blur = torch.rand(1, 3, 3, 16, 24) if family is ESTRNN else torch.rand(1, arguments.get("in_channels", 3), 16, 24)
    with torch.no_grad():
        assert torch.equal(loaded(blur), network(blur))


def official_name(name, levels):
    """The official Restormer's name of one of our tensors."""
    name = re.sub(r"\.(norm\d)\.", r".\1.body.", name).replace("intro.", "patch_embed.proj.")
    name = re.sub(r"^encoders\.(\d)", lambda m: f"encoder_level{int(m[1]) + 1}", name)
    name = re.sub(r"^downs\.(\d)", lambda m: f"down{int(m[1]) + 1}_{int(m[1]) + 2}.body", name)
    name = re.sub(r"^ups\.(\d)", lambda m: f"up{levels - int(m[1])}_{levels - 1 - int(m[1])}.body", name)
    name = re.sub(r"^reduces\.(\d)", lambda m: f"reduce_chan_level{levels - 1 - int(m[1])}", name)
    return re.sub(r"^decoders\.(\d)", lambda m: f"decoder_level{levels - 1 - int(m[1])}", name)


def test_the_papers_expansion_is_found_and_not_a_near_one(tmp_path):
    with torch.device("meta"):
        state = Restormer().state_dict()
    torch.save(
        {official_name(name, 4): torch.zeros(value.shape) for name, value in state.items()}, tmp_path / "net.pth"
    )
    assert read_official(tmp_path / "net.pth").arguments == {
        "width": 48, "blocks": [4, 6, 6, 8], "refinement_blocks": 4, "heads": [1, 2, 4, 8], "expansion": 2.66,
        "norm_bias": True,
    }  # fmt: skip


def test_averaged_weights_are_taken_before_plain_ones(tmp_path):
    plain, averaged = NAFNet(**NAFNETS[1]).state_dict(), shaken(NAFNet(**NAFNETS[1])).state_dict()
    torch.save({"params": plain, "params_ema": averaged}, tmp_path / "net.pth")
    assert torch.equal(read_official(tmp_path / "net.pth").state["intro.weight"], averaged["intro.weight"])


@pytest.mark.parametrize("name", ["nafnet_tiny", "restormer_tiny", "estrnn_tiny"])
def test_missing_and_misshapen_tensors_are_named(tmp_path, name):
    official = read_official(REFERENCES / f"{name}.pth")
    state = dict(torch.load(REFERENCES / f"{name}.pth", weights_only=True))
    ((wrapper, inner),) = state.items()
    whole = dict(inner)
    names = sorted(key for key in whole if key.endswith(".weight"))
    partial = {key: value for key, value in whole.items() if key != names[0]}
    torch.save({wrapper: partial}, tmp_path / "partial.pth")
    with pytest.raises(UnblurError, match=r"partial.pth: (is no whole|lacks the tensor)") as told:
        load_official(tmp_path / "partial.pth")
    assert "missing" in str(told.value) or "lacks" in str(told.value)
    assert "\n" not in str(told.value)
    bent = {**whole, names[-1]: torch.zeros(2, 2)}
    torch.save({wrapper: bent}, tmp_path / "bent.pth")
    with pytest.raises(UnblurError, match=r"misshapen|lacks|missing") as told:
        load_official(tmp_path / "bent.pth")
    assert "\n" not in str(told.value)
    assert official.config()["_target_"].startswith("unblur.networks.")


def test_a_long_list_of_faults_is_cut_short(tmp_path):
    whole = NAFNet(**NAFNETS[0]).state_dict()
    torch.save({name: value for name, value in whole.items() if ".conv3." not in name}, tmp_path / "net.pth")
    with pytest.raises(UnblurError, match=r"missing \(.*, .*, .* and \d+ more\)"):
        load_official(tmp_path / "net.pth")


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "text.pth").write_text("not a checkpoint")
    torch.save({"other.weight": torch.ones(2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"params": Payload()}, tmp_path / "evil.pth")
    for name, says in {
        "absent.pth": "no such file", "text.pth": "damaged|cannot be read", "other.pth": "no family known",
        "list.pth": "no named tensors", "evil.pth": "holds more than tensors",
    }.items():  # fmt: skip
        with pytest.raises(UnblurError, match=says) as told:
            load_official(tmp_path / name)
        assert "\n" not in str(told.value)
    assert "executed" not in capsys.readouterr().out
