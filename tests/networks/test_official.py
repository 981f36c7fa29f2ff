"""Official checkpoints: references/*_tiny.pth and .npz were made with the official code, random weights, fp32, CPU."""

import re
import zipfile
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
    {"width": 8, "blocks": [1, 0, 2], "refinement_blocks": 0, "heads": [4, 1, 2], "expansion": 3.0, "bias": True},
    {"width": 4, "blocks": [1, 1], "heads": [1, 8], "expansion": 2.5, "bias": True, "norm_bias": False},
]
ESTRNNS = [
    {"width": 6, "blocks": 11},
    {"width": 4, "blocks": 1, "past": 1, "future": 1},
    {"width": 5, "blocks": 2, "past": 3, "future": 3},
    {"width": 4, "blocks": 2, "past": 2, "future": 1},
    {"width": 4, "blocks": 2, "past": 0, "future": 0},
]


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
        "norm_bias": True, "bias": False,
    }  # fmt: skip


def test_averaged_weights_are_taken_before_plain_ones(tmp_path):
    plain, averaged = NAFNet(**NAFNETS[1]).state_dict(), shaken(NAFNet(**NAFNETS[1])).state_dict()
    torch.save({"params": plain, "params_ema": averaged}, tmp_path / "net.pth")
    assert torch.equal(read_official(tmp_path / "net.pth").state["intro.weight"], averaged["intro.weight"])


PREFIXES = ["module.", "model.", "generator.", "module.model.", "net_g.", "_orig_mod.module.", "params.", "state_dict."]
WRAPS = [["params"], ["params_ema"], ["state_dict"], ["state_dict", "params"], ["model", "state_dict"], ["generator"]]


@pytest.mark.parametrize("name", ["nafnet_tiny", "restormer_tiny", "estrnn_tiny"])
def test_wrappers_and_prefixes_come_off(tmp_path, name):
    _, whole = tensors_of(name)
    expected = load_official(REFERENCES / f"{name}.pth").state_dict()
    for prefix in PREFIXES:
        for wrap in WRAPS:
            state = {prefix + key: value for key, value in whole.items()}
            for word in reversed(wrap):
                state = {word: state, "epoch": 3, "model_name": "net"}
            torch.save(state, tmp_path / "net.pth")
            loaded = load_official(tmp_path / "net.pth").state_dict()
            assert all(torch.equal(loaded[key], expected[key]) for key in expected), (prefix, wrap)
    # As the official ESTRNN's training writes it: the word under `model` is a name.
    torch.save(
        {"model": "ESTRNN", "params": None, "state_dict": whole, "optimizer": {"state": {}}}, tmp_path / "net.pth"
    )
    assert load_official(tmp_path / "net.pth").state_dict().keys() == expected.keys()


def tensors_of(name):
    ((wrapper, state),) = torch.load(REFERENCES / f"{name}.pth", weights_only=True).items()
    return wrapper, {key.removeprefix("module.model."): value for key, value in state.items()}


def refusal(tmp_path, wrapper, state):
    torch.save({wrapper: state}, tmp_path / "net.pth")
    with pytest.raises(UnblurError) as told:
        load_official(tmp_path / "net.pth")
    message = str(told.value)
    assert message.startswith(f"{tmp_path / 'net.pth'}: ")
    assert "\n" not in message
    return message


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nafnet_tiny", "restormer_tiny", "estrnn_tiny"])
def test_whatever_tensor_is_missing_or_misshapen_is_named_as_the_file_names_it(tmp_path, name):
    wrapper, whole = tensors_of(name)
    kinds = {re.sub(r"\d+", "", key): key for key in reversed(whole)}  # the first of each
    for key in kinds.values():
        message = refusal(tmp_path, wrapper, {other: value for other, value in whole.items() if other != key})
        assert f"1 missing ({key})" in message
        for wrong in ((), (7,), (2, 2), (0, 5, 3, 3)):
            message = refusal(tmp_path, wrapper, {**whole, key: torch.zeros(wrong)})
            assert f"{key} {wrong} instead of (" in message


@pytest.mark.parametrize("name", ["nafnet_tiny", "restormer_tiny", "estrnn_tiny"])
def test_a_file_that_lost_a_part_says_what_is_missing(tmp_path, name):
    wrapper, whole = tensors_of(name)
    for part in sorted({key.split(".")[0] for key in whole}):
        rest = {key: value for key, value in whole.items() if not key.startswith(f"{part}.")}
        blocks = part in {"refinement", "middle_blks"}  # a network without these blocks would be a network too
        if rest and not blocks:
            message = refusal(tmp_path, wrapper, rest)
            assert "missing" in message
            assert f"{part}." in message
        if len(rest) < len(whole):
            refusal(tmp_path, wrapper, {key: value for key, value in whole.items() if key.startswith(f"{part}.")})


def test_values_that_are_no_weights_are_named(tmp_path):
    wrapper, whole = tensors_of("nafnet_tiny")
    for wrong in (torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.complex64), torch.zeros(4).to_sparse()):
        assert "1 of no real numbers (intro.bias)" in refusal(tmp_path, wrapper, {**whole, "intro.bias": wrong})
    assert "1 not finite (intro.bias)" in refusal(
        tmp_path, wrapper, {**whole, "intro.bias": torch.full((4,), torch.nan)}
    )
    torch.save({wrapper: {key: value.half() for key, value in whole.items()}}, tmp_path / "half.pth")
    assert load_official(tmp_path / "half.pth").intro.weight.dtype == torch.float32


def test_a_restormer_for_dual_pixels_is_told(tmp_path):
    wrapper, whole = tensors_of("restormer_tiny")
    width = len(whole["patch_embed.proj.weight"])
    whole |= {
        "patch_embed.proj.weight": torch.zeros(width, 6, 3, 3),
        "skip_conv.weight": torch.zeros(2 * width, width, 1, 1),
    }
    assert "dual pixels, with 6 channels" in refusal(tmp_path, wrapper, whole)


def test_where_the_frames_of_estrnn_lie_can_be_said(tmp_path):
    network = shaken(ESTRNN(width=4, blocks=1, past=1, future=2))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "net.pth")
    assert read_official(tmp_path / "net.pth").arguments["past"] == 2
    clip = torch.rand(1, 4, 3, 12, 8)
    with torch.no_grad():
        assert torch.equal(load_official(tmp_path / "net.pth", past=1)(clip), network(clip))
    with pytest.raises(UnblurError, match="sees 3 frames besides its own: past=4"):
        load_official(tmp_path / "net.pth", past=4)


def test_a_long_list_of_faults_is_cut_short(tmp_path):
    whole = NAFNet(**NAFNETS[0]).state_dict()
    torch.save({name: value for name, value in whole.items() if ".conv3." not in name}, tmp_path / "net.pth")
    with pytest.raises(UnblurError, match=r"missing \((\S+, ){7}\S+ and \d+ more\)"):
        load_official(tmp_path / "net.pth")


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("not a checkpoint")
    torch.save({"other.weight": torch.ones(2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"params": Payload()}, tmp_path / "evil.pth")
    for name, says in {
        "absent.pth": "no such file", "empty.pth": "cannot be read", ".": "cannot be read",
        "text.pth": "damaged|cannot be read", "other.pth": "no family known",
        "list.pth": "no named tensors", "evil.pth": "holds more than tensors",
    }.items():  # fmt: skip
        with pytest.raises(UnblurError, match=says) as told:
            load_official(tmp_path / name)
        assert "\n" not in str(told.value)
    assert "executed" not in capsys.readouterr().out


def test_a_checkpoint_with_two_members_of_one_name_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"intro.weight": torch.zeros(1)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        archive.writestr(name.upper(), b"another")
    with pytest.raises(UnblurError, match=r"weights\.pth: holds .*DATA\.PKL' and .*data\.pkl', which are one name"):
        load_official(path)
