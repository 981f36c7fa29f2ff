"""What a network is traced with: example inputs, which of their sizes are free, and what inputs and outputs are called.

A batch of 1 would become a constant, an aligned example would let the padding fall out of the graph, and height and
width differ so that they stay apart. A network that pads to more than the example's size gets a larger one: within one
multiple, all sizes are the same, and the only one would be taken for constant.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim

from unblur.errors import UnblurError
from unblur.networks.description import describe
from unblur.networks.streaming import StreamingNetwork, StreamStep

HEIGHT, WIDTH = 41, 54
STATE = ("hidden", "features", "frames")
Free = dict[int, Any] | None


class Traced(NamedTuple):
    """A module to export, its example inputs, their free axes, and the names of inputs and outputs."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    free: tuple[Free, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    metadata: dict[str, str]


def traced(network: nn.Module) -> Traced:
    """Return what to export of a network: itself, or, of one for video, a step with its state in and out.

    Raises:
        UnblurError: a network for video cannot take a stream frame by frame.
    """
    task, multiple = describe(network).task, describe(network).multiple
    height, width = (size if size > multiple else size + 2 * multiple for size in (HEIGHT, WIDTH))
    free: Free = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    if task == "burst":
        shots: Free = dict.fromkeys((0, 1, 3, 4), Dim.DYNAMIC)
        burst = torch.rand(2, 3, 3, height, width)
        return Traced(network, (burst,), (shots,), ("blur",), ("restored",), {"task": task})
    if task == "video":
        if not isinstance(network, StreamingNetwork):
            msg = f"{type(network).__name__}: a network for video is to be a unblur.networks.streaming.StreamingNetwork"
            raise UnblurError(msg)
        step = StreamStep(network)
        shape = step.shape()
        height, width = -(-HEIGHT // shape.multiple), -(-WIDTH // shape.multiple)
        inputs = (
            torch.rand(2, 3, HEIGHT, WIDTH),
            torch.rand(2, shape.hidden, height, width),
            torch.rand(2, shape.window, shape.features, height, width),
            torch.rand(2, shape.delay + 1, 3, HEIGHT, WIDTH),
            torch.tensor(False),
            torch.tensor(False),
        )
        state: tuple[Free, ...] = tuple(dict.fromkeys(axes, Dim.AUTO) for axes in ((0, 2, 3), (0, 3, 4), (0, 3, 4)))
        outputs = ("restored", *(f"{name}_out" for name in STATE))
        metadata = {"task": task, "delay": str(shape.delay), "multiple": str(shape.multiple)}
        return Traced(step, inputs, (free, *state, None, None), ("blur", *STATE, "first", "drain"), outputs, metadata)
    return Traced(network, (torch.rand(2, 3, height, width),), (free,), ("blur",), ("restored",), {"task": task})
