"""Restores with PyTorch from a folder with model.safetensors and config.json."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.networks.description import describe
from unblur.runtimes.torch_errors import told_in_one_line
from unblur.training.weights import load_hashed


class TorchRestorer:
    """A trained network; weights in channels-last order.

    Args:
        folder: what `unblur.training.weights.save_model` wrote.
        threads: PyTorch's threads, a setting of the whole process; None leaves it as it is.
        bf16: compute in bfloat16: about twice as fast on CPUs with AMX, and about 0.003 dB less exact.
        device: cpu or cuda; None takes a GPU where there is one.

    Raises:
        UnblurError: the folder holds no such network, or there is no GPU that was asked for.
    """

    def __init__(self, folder: Path, threads: int | None = None, bf16: bool = False, device: str | None = None) -> None:
        self.name = str(folder)
        self._device = _chosen(device, self.name)
        if threads is not None:
            torch.set_num_threads(threads)
        network, self.sha256 = load_hashed(folder)
        self._bf16 = bf16
        # torch's stub of Module.to does not know that a memory format alone is allowed together with a device.
        self._network = network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.task = describe(self._network).task

    @property
    def network(self) -> torch.nn.Module:
        """The network itself, for what needs its gradients."""
        network: torch.nn.Module = self._network
        return network

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1], bursts (B, K, 3, H, W) or clips (B, T, 3, H, W)."""
        with told_in_one_line(self.name, f"an input of {batch.shape}"), self._computing():
            blur = torch.from_numpy(batch).to(self._device)
            blur = blur.contiguous(memory_format=torch.channels_last) if blur.ndim == 4 else blur
            restored: NDArray[np.float32] = self._network(blur).float().cpu().numpy()
        return restored

    def stream(self, frames: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield every frame (B, 3, H, W) of a video restored, a few frames later than it is taken.

        Raises:
            UnblurError: the network is not one for video.
        """
        if self.task != "video":
            msg = f"{self.name}: is a network for {self.task}s, not for video"
            raise UnblurError(msg)
        with told_in_one_line(self.name, "a video", "make the video smaller"), self._computing():
            for restored in self._network.stream(torch.from_numpy(frame).to(self._device) for frame in frames):
                yield restored.float().cpu().numpy()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            yield


def _chosen(device: str | None, name: str) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        msg = f"{name}: --device cuda, but PyTorch finds no GPU on this machine; choose cpu, or leave the device out"
        raise UnblurError(msg)
    return torch.device(device or ("cuda" if has_gpu else "cpu"))
