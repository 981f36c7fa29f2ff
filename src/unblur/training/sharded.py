"""Weights, gradients and optimizer states in parts, one on each process (FSDP2): for what one GPU cannot hold.

Zhao et al., PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel, 2023; `fully_shard` of PyTorch.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map_only  # torch's own, for nested dictionaries and lists

if TYPE_CHECKING:
    from unblur.training.module import RestorationModule


class ShardedStrategy(DDPStrategy):
    """Gives each process a part of every weight; a block is put together for its own computation alone.

    Lightning's `ModelParallelStrategy` asks for modules that shard themselves, and averages no weights. This one shards
    what a `RestorationModule` trains, and its averaged weights, after a checkpoint was read into them. Checkpoints are
    those of one process, with whole tensors: a training goes on with another strategy or number of processes. After
    the training the first process has the whole network, in main memory.

    Args:
        smallest: parameters from which a block of a `Sequential` or `ModuleList` is put together by itself.
        options: of `DDPStrategy`.
    """

    def __init__(self, smallest: int = 1_000_000, **options: Any) -> None:  # noqa: ANN401 (Lightning's own)
        super().__init__(**options)
        # Networks return what they cut off their padding; nobody writes into that.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        self.smallest = smallest
        self._longest = 0

    def model_to_device(self) -> None:
        """Leave it in main memory: `configure_ddp` brings parts to the GPU."""

    def configure_ddp(self) -> None:
        """Shard the network and its averaged weights, and bring what is left to the device."""
        module = self._module()
        averages = [each._average_model for each in module.trainer.callbacks if isinstance(each, WeightAveraging)]
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        for network in (module.network, *(average.module.network for average in averages if average is not None)):
            network.to(memory_format=torch.contiguous_format)  # FSDP2 takes no other; activations keep theirs
            for unit in (*blocks(network, self.smallest), network):
                fully_shard(unit, mesh=mesh, reshard_after_forward=True)
        for whole in (module, *filter(None, averages)):
            whole.to(self.root_device)

    def validation_step(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (Lightning's own)
        """Validate one batch; after the last one compute on until the process with the most batches has ended.

        All processes put each block together, so none may stop before the others.
        """
        batch, index = arguments[0], arguments[1]
        trainer = self._module().trainer
        own = int(sum(trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches))
        if index == 0:
            self._longest = int(self.reduce(torch.tensor(own, device=self.root_device), reduce_op="max"))
        result = super().validation_step(*arguments, **options)
        for _ in range(self._longest - own if index == own - 1 else 0):
            self._module()(batch["blur"])
        return result

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | os.PathLike[str], storage_options: object = None
    ) -> None:
        """Write whole tensors: all processes give their parts, the first one writes."""
        whole = tree_map_only(DTensor, self._whole, checkpoint)
        super().save_checkpoint(whole, filepath, storage_options)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this process's part of the whole tensors of a checkpoint."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [each for group in optimizer.param_groups for each in group["params"]]
            parts = {
                index: {name: _part(value, parameters[index]) for name, value in values.items()}
                for index, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": parts})

    def on_train_end(self) -> None:
        """Put the whole network together in main memory, on the first process."""
        for unit in self._module().network.modules():
            for name, parameter in list(unit.named_parameters(recurse=False)):
                whole = self._whole(cast("DTensor", parameter.detach()))
                unit.register_parameter(name, None if whole is None else nn.Parameter(whole))
            if isinstance(unit, FSDPModule):  # becomes the plain module that it was
                state = cast("Any", fully_shard).state(unit)
                state._pre_forward_hook_handle.remove()
                state._post_forward_hook_handle.remove()
                unit.__class__ = type(unit).__bases__[1]

    def _whole(self, tensor: DTensor) -> Tensor | None:
        whole = tensor.full_tensor()  # all processes take part
        if not self.is_global_zero:
            return None
        # As it lies without shards: fused optimizers take the memory of weights and moments as one order.
        return whole.cpu().contiguous(memory_format=self._module().memory_format) if whole.ndim == 4 else whole.cpu()

    def _module(self) -> "RestorationModule":
        return cast("RestorationModule", self.lightning_module)


def blocks(network: nn.Module, smallest: int) -> Iterator[nn.Module]:
    """Yield the blocks, innermost first, that have `smallest` parameters beside those of the blocks within them."""
    taken: set[nn.Parameter] = set()
    listed = [child for each in network.modules() if isinstance(each, nn.Sequential | nn.ModuleList) for child in each]
    for block in reversed(listed):  # what lies within comes after what it lies in
        own = set(block.parameters()) - taken
        if not isinstance(block, nn.ModuleList) and sum(each.numel() for each in own) >= smallest:
            taken |= own
            yield block


def _part(value: object, parameter: Tensor) -> object:
    """Return this process's part of a state that has the shape of its parameter; other states are every process's."""
    if not isinstance(value, Tensor) or not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    value = value.to(parameter.device).contiguous()  # as the weights, see `_whole`
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
