"""Restores with a package of native code that AOTInductor compiled (.aoti.pt2).

Such a package runs whatever is in it. It is loaded only if the listing beside it names it with its SHA-256, as
`unblur export` writes it: put neither the package nor the listing of a stranger into a folder of models.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.runtimes.torch_errors import told_in_one_line
from unblur.safety.hashing import LISTING, listed_copy, listed_sha256


class CompiledRestorer:
    """A compiled network on the processor that it was compiled for.

    Args:
        path: what `unblur.export.aotinductor.export_aotinductor` wrote.
        threads: PyTorch's threads, a setting of the whole process; None leaves it as it is.

    Raises:
        UnblurError: nobody listed the file, it is not what was listed, or it cannot be loaded.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.name = path.name
        if not path.is_file() or listed_sha256(path) is None:
            msg = f"{path}: is compiled code that no {LISTING} beside it vouches for; export it yourself"
            raise UnblurError(msg)
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            with listed_copy(path) as (copy, self.sha256):
                self._network = torch._inductor.aoti_load_package(str(copy))
        except (RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            msg = f"{path}: cannot be loaded ({reason}); it runs only where it was compiled: export it again"
            raise UnblurError(msg) from error
        self.task = "image"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1], or bursts (B, K, 3, H, W)."""
        with told_in_one_line(self.name, f"an input of {batch.shape}"), torch.inference_mode():
            restored: NDArray[np.float32] = self._network(torch.from_numpy(batch)).numpy()
        return restored
