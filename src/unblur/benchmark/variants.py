"""The ways to run one trained model on a CPU that the benchmark compares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # (B, 3, H, W) in [0, 1]
Run = Callable[[Images], Images]


@dataclass(frozen=True)
class Variant:
    """A runtime with its settings: `load(file, threads)` returns what restores a batch."""

    name: str
    needs: str
    load: Callable[[Path, int], Run]

    def file(self, model: Path, export: Path) -> Path:
        """Return what is loaded: the folder of the trained model, or an exported file."""
        return model if self.needs == "model" else export / self.needs


def _pytorch(folder: Path, threads: int, channels_last: bool, bf16: bool) -> Run:
    import torch

    from unblur.training.weights import load_model

    torch.set_num_threads(threads)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    network = load_model(folder)
    network = network.to(memory_format=memory)  # type: ignore[call-overload]  # the stub wants a device as well

    def run(batch: Images) -> Images:
        blur = torch.from_numpy(batch)
        blur = blur.contiguous(memory_format=memory) if blur.ndim == 4 else blur
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            restored: Images = network(blur).float().numpy()
        return restored

    return in_sequences(run, getattr(network, "task", "image"))


def _onnxruntime(file: Path, threads: int) -> Run:
    from unblur.restoring.restorer import load_restorer

    restorer = load_restorer(file, threads)
    return in_sequences(restorer, restorer.task)


def in_sequences(run: Run, task: str) -> Run:
    """Return a run on images as one on clips or bursts of FRAMES times the image, where the task asks for them."""
    if task == "image":
        return run
    return lambda images: run(np.repeat(images[:, None], FRAMES, axis=1))


FRAMES = 4
"""Of a clip or burst."""

EAGER = "pytorch"  # the one that the others are compared with

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant(EAGER, "model", lambda path, threads: _pytorch(path, threads, channels_last=False, bf16=False)),
            Variant(
                "pytorch channels-last",
                "model",
                lambda path, threads: _pytorch(path, threads, channels_last=True, bf16=False),
            ),
            Variant(
                "pytorch channels-last bf16",
                "model",
                lambda path, threads: _pytorch(path, threads, channels_last=True, bf16=True),
            ),
            Variant("onnxruntime", "model.onnx", _onnxruntime),
        )
    }
)
