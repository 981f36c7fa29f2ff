"""What every network keeps to. Each conf/model/*.yaml is found by itself, so a new one is tested as it is added."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from unblur.config.instantiate import instantiate
from unblur.training.weights import load_model, save_model

MODELS = sorted((Path(__file__).parents[2] / "conf" / "model").glob("*.yaml"))
SIZES = [(1, 1), (7, 13), (17, 33)]

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.stem)
def case(request):
    """A network with every parameter away from zero (fresh residual scales are zero), and its configuration."""
    config = OmegaConf.to_container(OmegaConf.load(request.param), resolve=True)
    torch.manual_seed(0)
    network = instantiate(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval(), config


def image(height, width, batch=1):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height * 1000 + width))


def test_models_are_found():
    assert {"nafnet", "nafnet_small", "nafnet_tiny"} <= {path.stem for path in MODELS}


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_keeps_its_shape_and_images_of_a_batch_do_not_mix(case, height, width):
    network, _ = case
    batch = image(height, width, batch=2)
    with torch.no_grad():
        together = network(batch)
        alone = torch.cat([network(batch[:1]), network(batch[1:])])
    assert together.shape == batch.shape
    assert together.isfinite().all()
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_every_parameter(case):
    network, _ = case
    network.zero_grad()
    (network(image(17, 33)) - image(17, 33)).square().sum().backward()
    unreached = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    network.zero_grad()
    assert not unreached


def test_bfloat16_autocast_is_finite_and_near(case):
    network, _ = case
    blur = image(16, 24)
    with torch.no_grad():
        exact = network(blur)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(blur).float()
    assert rough.isfinite().all()
    scale = (exact - blur).abs().mean()  # the correction that the network computes
    assert (rough - exact).abs().mean() < 0.05 * scale + 1e-3


def test_channels_last_gives_the_same(case):
    network, config = case
    blur = image(16, 24, batch=2)
    twin = instantiate(config)
    twin.load_state_dict(network.state_dict())
    twin = twin.eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(
            twin(blur.contiguous(memory_format=torch.channels_last)), network(blur), rtol=1e-4, atol=1e-5
        )


def test_saved_and_loaded_weights_restore_bit_for_bit(case, tmp_path):
    network, config = case
    save_model(network, config, tmp_path)
    blur = image(7, 13)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(blur), network(blur))


def test_the_same_input_gives_the_same_output(case):
    network, _ = case
    blur = image(9, 12)
    with torch.no_grad():
        assert torch.equal(network(blur), network(blur))
