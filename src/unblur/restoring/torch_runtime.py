"""Restores with PyTorch from a folder with model.safetensors and config.json."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.safety.hashing import sha256_file
from unblur.training.weights import load_model


class TorchRestorer:
    """A trained network on CUDA where there is one, else on the CPU; weights in channels-last order.

    Args:
        folder: what `unblur.training.weights.save_model` wrote.
        threads: PyTorch's threads, a setting of the whole process; None leaves it as it is.
        bf16: compute in bfloat16: about twice as fast on CPUs with AMX, and about 0.003 dB less exact.
    """

    def __init__(self, folder: Path, threads: int | None = None, bf16: bool = False) -> None:
        self.name = str(folder)
        self.sha256 = sha256_file(folder / "model.safetensors")
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._bf16 = bf16
        # torch's stub of Module.to does not know that a memory format alone is allowed together with a device.
        self._network = load_model(folder).to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1]."""
        blur = torch.from_numpy(batch).to(self._device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            restored: NDArray[np.float32] = self._network(blur).float().cpu().numpy()
        return restored
