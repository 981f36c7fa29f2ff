"""Which parts of a network are put together by themselves; trainings that share weights are in test_distributed.py."""

import copy

import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from unblur.config.compose import checked, compose, config_dir
from unblur.config.instantiate import instantiate
from unblur.networks.description import describe
from unblur.training.fit import hash_training
from unblur.training.sharded import blocks


@pytest.mark.parametrize("model", ["nafnet_tiny", "restormer_tiny", "uformer_tiny", "maxim_tiny", "resunet_tiny"])
@pytest.mark.parametrize("smallest", [1, 1000])
def test_blocks_have_enough_parameters_beside_those_within(model, smallest):
    network = instantiate(checked(compose([f"model={model}"])).model)
    found = list(blocks(network, smallest))
    assert len({id(block) for block in found}) == len(found) > 0
    taken = set()
    for block in found:
        own = set(block.parameters()) - taken
        assert sum(parameter.numel() for parameter in own) >= smallest
        taken |= own
    assert network not in found
    assert not list(blocks(network, 10**9))


def test_a_training_goes_on_with_other_processes_if_the_batch_of_all_is_the_same():
    def of(*overrides):
        return hash_training(checked(compose(["experiment=smoke", *overrides])), "manifest")

    one = of("data.batch_size=8", "data.progressive={until: [1], patch: [32], batch: [8]}")
    two = ("data.batch_size=4", "data.progressive={until: [1], patch: [32], batch: [4]}")
    assert of("trainer=ddp_cpu", *two) == one
    assert of("trainer=fsdp_cpu", *two) == one
    assert of("trainer=ddp_cpu", "data.batch_size=8", two[1]) != one
    assert of("trainer=ddp_cpu", "trainer.max_epochs=3", *two) != one


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


@pytest.mark.contract
@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")
@pytest.mark.parametrize("model", sorted(path.stem for path in (config_dir() / "model").glob("*_tiny.yaml")))
def test_every_network_learns_the_same_in_parts(mesh, model):
    """Parameters that a network reads past its blocks' own `forward` would not be put together."""
    plain = instantiate(checked(compose([f"model={model}"])).model)
    task = describe(plain).task
    sharded = copy.deepcopy(plain)
    for unit in (*blocks(sharded, 1), sharded):
        fully_shard(unit, mesh=mesh, reshard_after_forward=True)
    images = torch.rand(1, *(() if task == "image" else (3,)), 3, 32, 32)
    for network in (plain, sharded):
        network(images).square().mean().backward()
    for name, parameter in sharded.named_parameters():
        expected = plain.get_parameter(name).grad
        if expected is not None:
            torch.testing.assert_close(parameter.grad.full_tensor(), expected, rtol=1e-3, atol=1e-6)
