"""What every network keeps to. Each conf/model/*.yaml is found by itself, so a new one is tested as it is added."""

import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from unblur.config.instantiate import instantiate
from unblur.errors import UnblurError
from unblur.export.formats import export_model
from unblur.export.parity import check_parity
from unblur.networks.folding import Foldable, fold
from unblur.restoring.burst import restore_burst
from unblur.runtimes.tiles import restore_tiled
from unblur.scaffold.reference import reference_values
from unblur.training.weights import load_model, save_model

MODELS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))
SIZES = [(1, 1), (7, 13), (17, 33)]
LARGE = 2_000_000  # parameters; of networks above, the small ones of their family are tried

pytestmark = pytest.mark.contract


def configuration(path):
    return OmegaConf.to_container(OmegaConf.load(path), resolve=True)


def parameters(config):
    with torch.device("meta"):
        return sum(p.numel() for p in instantiate(config).parameters())


def task(path):
    with torch.device("meta"):
        return instantiate(configuration(path)).task


def moved(network):
    """Every parameter away from zero: fresh residual scales are zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


SMALL = [path for path in MODELS if parameters(configuration(path)) < LARGE]


@pytest.fixture(scope="module", params=SMALL, ids=lambda path: path.stem)
def case(request):
    """A network and its configuration."""
    config = configuration(request.param)
    torch.manual_seed(0)
    return moved(instantiate(config)), config


def example(network, height, width, batch=1, frames=3):
    """What the network's task takes: images, or clips and bursts of `frames`."""
    shape = (batch, 3) if network.task == "image" else (batch, frames, 3)
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.rand(*shape, height, width, generator=generator)


def corrected(network, blur):
    """What the network corrects: a burst's reference, otherwise its whole input."""
    return blur[:, 0] if network.task == "burst" else blur


def test_models_are_found():
    names = {path.stem for path in MODELS}
    assert {"nafnet", "restormer", "uformer", "estrnn", "burst", "resunet_m"} <= names
    tiny = {path.stem for path in SMALL if path.stem.endswith("_tiny")}
    families = {configuration(path)["_target_"].split(".")[-2] for path in MODELS}
    assert tiny >= {f"{family}_tiny" for family in families}  # every family is tried


def test_every_network_says_what_its_task_is():
    for path in MODELS:
        assert task(path) in {"image", "burst", "video"}


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_keeps_its_shape_and_images_of_a_batch_do_not_mix(case, height, width):
    network, _ = case
    batch = example(network, height, width, batch=2)
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(batch[:1]), network(batch[1:])])
    assert together.shape == corrected(network, batch).shape
    assert together.isfinite().all()
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_every_parameter(case):
    network, _ = case
    network.zero_grad()
    blur = example(network, 17, 33)
    (network(blur) - corrected(network, blur)).square().sum().backward()
    unreached = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    network.zero_grad()
    assert not unreached


def test_bfloat16_autocast_is_finite_and_near(case):
    network, _ = case
    blur = example(network, 16, 24)
    with torch.no_grad():
        exact = network(blur)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(blur).float()
    assert rough.isfinite().all()
    scale = (exact - corrected(network, blur)).abs().mean()  # the correction that the network computes
    assert (rough - exact).abs().mean() < 0.05 * scale + 1e-3


def test_folding_changes_nothing_and_leaves_the_network_alone(case):
    network, _ = case
    before = {name: value.clone() for name, value in network.state_dict().items()}
    blur = example(network, 17, 33, batch=2)
    with torch.no_grad():
        torch.testing.assert_close(fold(network)(blur), network(blur), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_blocks_that_can_be_folded_are(case):
    network, _ = case
    left = [type(module).__name__ for module in fold(network).modules() if isinstance(module, Foldable)]
    assert not left


def test_channels_last_gives_the_same(case):
    network, config = case
    blur = example(network, 16, 24, batch=2)
    twin = instantiate(config)
    twin.load_state_dict(network.state_dict())
    twin = twin.eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        same = blur.contiguous(memory_format=torch.channels_last) if blur.ndim == 4 else blur
        torch.testing.assert_close(twin(same), network(blur), rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_weights_restore_bit_for_bit(case, tmp_path):
    network, config = case
    save_model(network, config, tmp_path)
    blur = example(network, 7, 13)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(blur), network(blur))


def test_the_same_input_gives_the_same_output(case):
    network, _ = case
    blur = example(network, 9, 12)
    with torch.no_grad():
        assert torch.equal(network(blur), network(blur))


@pytest.mark.parametrize("path", [path for path in SMALL if path.stem.endswith("_tiny")], ids=lambda path: path.stem)
def test_one_batch_can_be_learned_by_heart(path):
    torch.manual_seed(0)
    network = instantiate(configuration(path))
    sharp = torch.rand(1, 3, 16, 16)
    if network.task != "image":
        sharp = sharp[:, None].expand(1, 3, -1, -1, -1)
    blur = 0.5 * sharp + 0.25
    truth = corrected(network, sharp)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    first = (network(blur) - truth).square().mean().item()
    for _ in range(80):
        loss = (network(blur) - truth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * first


def test_a_network_that_says_how_far_it_sees_is_exact_in_tiles(case):
    network, _ = case
    if not hasattr(network, "reach"):
        return
    size = 4 * -(-network.reach // 16) * 16 + 80
    whole = example(network, size, size)
    start = 16 * (size // 48)
    margin = 16 * -(-network.reach // 16)
    with torch.no_grad():
        tile = network(whole[..., start - margin : start + 16 + margin, start - margin : start + 16 + margin])
        there = network(whole)[..., start : start + 16, start : start + 16]
    torch.testing.assert_close(tile[..., margin : margin + 16, margin : margin + 16], there, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("nafnet", 17.11), ("nafnet64", 67.89), ("nafnet_local", 17.11), ("restormer", 26.13), ("uformer", 50.47),
        ("estrnn", 2.47),
    ],
)  # fmt: skip
def test_networks_at_the_papers_settings_have_the_papers_parameters(name, millions):
    path = next(path for path in MODELS if path.stem == name)
    assert parameters(configuration(path)) / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_fast_family_stays_small():
    for path in MODELS:
        if path.stem.startswith("resunet"):
            assert parameters(configuration(path)) < 5e6


TINY = [path for path in SMALL if path.stem.endswith("_tiny")]
TILE_BOUND = 0.05  # of the mean correction
# Where positions far apart are mixed, which a tile has others of than the image.
GRID_BOUNDS = {"maxim_tiny": 0.25, "maxim_half_tiny": 0.4}
PARITY_SIZES = [[1, 8, 24], [2, 41, 54], [1, 33, 17], [1, 67, 130]]


@pytest.mark.slow
@pytest.mark.parametrize("path", TINY, ids=lambda path: path.stem)
def test_exported_files_compute_the_same_at_any_size(path, tmp_path):
    torch.manual_seed(0)
    network = moved(instantiate(configuration(path)))
    formats = ["onnx", "openvino"] if network.task == "video" else ["onnx", "openvino", "pt2"]
    files = export_model(network, formats, tmp_path, 18)
    rows = check_parity(path.stem, network, files, PARITY_SIZES, 1e-4)
    assert len(rows) == len(files) * len(PARITY_SIZES)
    assert all(row.passed for row in rows), rows


def test_a_video_network_is_not_exported_as_a_program_of_its_whole_clip(tmp_path):
    network = instantiate(configuration(next(path for path in TINY if path.stem == "estrnn_tiny")))
    with pytest.raises(UnblurError, match=r"goes to ONNX and OpenVINO alone; set export\.formats=\[onnx,openvino\]"):
        export_model(network, ["pt2"], tmp_path, 18)


@pytest.mark.slow
def test_local_statistics_export_too(tmp_path):
    torch.manual_seed(0)
    path = next(path for path in TINY if path.stem == "nafnet_tiny")
    network = instantiate({**configuration(path), "statistics": "local", "train_size": 16}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    files = export_model(network, ["onnx", "openvino", "pt2"], tmp_path, 18)
    rows = check_parity(path.stem, network, files, PARITY_SIZES, 1e-4)
    assert all(row.passed for row in rows), rows


@pytest.mark.parametrize("path", TINY, ids=lambda path: path.stem)
def test_outputs_are_the_stored_ones(path):
    """references/outputs.json: values of each tiny network as it was when it was added."""
    stored = json.loads((Path(__file__).parent / "references" / "outputs.json").read_text())[path.stem]
    assert reference_values(instantiate(configuration(path))) == pytest.approx(stored, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("path", [path for path in TINY if task(path) != "video"], ids=lambda path: path.stem)
def test_tiles_give_nearly_what_the_whole_gives(path):
    """Exactly where a network sees no further than a tile's border; global statistics change it a little."""
    torch.manual_seed(0)
    network = moved(instantiate(configuration(path)))

    class Restorer:
        name, sha256, task = path.stem, "", network.task

        def __call__(self, batch):
            with torch.no_grad():
                return network(torch.from_numpy(batch)).numpy()

    blur = example(network, 160, 192)[0]
    if network.task == "burst":
        blur = 0.8 * blur[:1] + 0.2 * blur  # shots of one scene: noise has no alignment that tiles could agree on
    images = blur.movedim(-3, -1).numpy()  # (H, W, 3), or (K, H, W, 3) of a burst
    restore = restore_burst if network.task == "burst" else restore_tiled
    given = (Restorer(), images)
    whole, tiled = restore(*given, tile=256, overlap=64), restore(*given, tile=112, overlap=48)
    correction = abs(whole - corrected(network, images[None])[0]).mean()
    assert correction > 0
    bound = GRID_BOUNDS.get(path.stem, TILE_BOUND)
    assert abs(tiled - whole).mean() < bound * correction


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in MODELS if path not in SMALL], ids=lambda path: path.stem)
def test_large_networks_take_small_sizes_learn_and_are_saved(path, tmp_path):
    """Of what the small ones of their family are tried for, what may break by the configuration alone."""
    config = configuration(path)
    torch.manual_seed(0)
    network = moved(instantiate(config))
    blur = example(network, 7, 13, batch=2)
    restored = network(blur)
    assert restored.shape == corrected(network, blur).shape
    assert restored.isfinite().all()
    (restored - corrected(network, blur)).square().sum().backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    with torch.no_grad():
        assert network(example(network, 1, 1)).isfinite().all()
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(blur).float()
        correction = (restored - corrected(network, blur)).abs().mean()
        assert (rough - restored).abs().mean() < 0.05 * correction + 1e-3
        network.zero_grad(set_to_none=True)
        save_model(network, config, tmp_path)
        assert torch.equal(load_model(tmp_path)(blur), restored)
