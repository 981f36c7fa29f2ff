"""The ways to run a model on a CPU that the benchmark compares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unblur.runtimes.tiles import settled

Images = NDArray[np.float32]  # (B, 3, H, W) in [0, 1]
Run = Callable[[Images], Images]


class Restores(Protocol):
    """Restores batches of what its task says: images, bursts or clips."""

    task: str

    def __call__(self, batch: Images) -> Images:
        """Restore a batch."""
        ...


@dataclass(frozen=True)
class Runtime:
    """A way to run a model: `open(file, threads)` returns what restores.

    Attributes:
        name: what it is called.
        needs: "network" for the folder with model.safetensors, or the name of an exported file.
        open: loads it.
        restored_by: runtime and precision that `unblur restore` is told to get the same; None where it cannot.
        kinds: of models that are run so (see `unblur.export.variants.ModelVariant`); others gain nothing from it.
    """

    name: str
    needs: str
    open: Callable[[Path, int], Restores]
    restored_by: tuple[str, str] | None = None
    kinds: tuple[str, ...] = ("float",)

    def load(self, file: Path, threads: int) -> Run:
        """Return what restores images (B, 3, H, W), of other tasks as clips or bursts of equal ones."""
        restorer = self.open(file, threads)
        return in_sequences(restorer, restorer.task)


class Eager:
    """PyTorch without compilation (see `Restores`)."""

    def __init__(self, folder: Path, threads: int, channels_last: bool = False, bf16: bool = False) -> None:
        import torch

        from unblur.networks.description import describe
        from unblur.training.weights import load_model

        torch.set_num_threads(threads)
        self._memory = torch.channels_last if channels_last else torch.contiguous_format
        self._bf16 = bf16
        network = load_model(folder)
        self.task = describe(network).task
        self._network = network.to(memory_format=self._memory)  # type: ignore[call-overload]  # the stub wants a device

    def __call__(self, batch: Images) -> Images:
        """Restore a batch."""
        import torch

        blur = torch.from_numpy(batch)
        blur = blur.contiguous(memory_format=self._memory) if blur.ndim == 4 else blur
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            restored: Images = self._network(blur).float().numpy()
        return restored


def _graph(name: str, runtime: str, precision: str, kinds: tuple[str, ...]) -> Runtime:
    def load(file: Path, threads: int) -> Restores:
        from unblur.runtimes.restorer import load_restorer

        return load_restorer(file, threads, runtime=runtime, precision=precision, device="cpu")

    return Runtime(name, "model.onnx", load, (runtime, precision), kinds)


def in_sequences(run: Run, task: str) -> Run:
    """Return a run on images, of which many have the same size; where the task asks for it, on FRAMES times each."""
    run = settled(run)
    if task == "image":
        return run
    return lambda images: run(np.repeat(images[:, None], FRAMES, axis=1))


FRAMES = 4
"""Of a clip or burst."""

EAGER = "pytorch"  # the one that the others are compared with

COMPUTED = ("float", "int8")
"""Kinds of models that differ in what is computed; the others only store their weights differently."""

RUNTIMES: Mapping[str, Runtime] = MappingProxyType(
    {
        runtime.name: runtime
        for runtime in (
            Runtime(EAGER, "network", Eager),
            Runtime("pytorch channels-last", "network", lambda file, threads: Eager(file, threads, channels_last=True)),
            Runtime(
                "pytorch channels-last bf16",
                "network",
                lambda file, threads: Eager(file, threads, channels_last=True, bf16=True),
            ),
            _graph("onnxruntime", "onnxruntime", "f32", COMPUTED),
            _graph("openvino", "openvino", "f32", COMPUTED),
            _graph("openvino bf16", "openvino", "bf16", (*COMPUTED, "int8_weights", "fp16")),
        )
    }
)
