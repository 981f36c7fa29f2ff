"""Restores with a torch.export program (.pt2).

A .pt2 file is a program, and PyTorch says to load none of a stranger; what can be refused without running anything,
`program_archive` refuses.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.runtimes.pt2_archive import read_program
from unblur.runtimes.torch_errors import told_in_one_line

DAMAGED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What PyTorch and SymPy raise for a program that makes no sense."""


class ProgramRestorer:
    """An exported program on the CPU that takes and returns (B, 3, H, W), or takes bursts (B, K, 3, H, W).

    Args:
        path: what `unblur.export.pt2.export_program` wrote.
        threads: PyTorch's threads, a setting of the whole process; None leaves it as it is.

    Raises:
        UnblurError: not exactly what `export_program` writes, or it cannot be loaded.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.name = path.name
        if threads is not None:
            torch.set_num_threads(threads)
        archive, self.sha256 = read_program(path)
        try:
            # The guards would refuse images of a few pixels, for which the program is right (unblur.export.pt2).
            program = torch.export.load(archive)
            self._network = program.module(check_guards=False)
        except DAMAGED as error:
            msg = f"{path}: cannot be loaded as a torch.export program ({' '.join(str(error).split())[:200]})"
            raise UnblurError(msg) from error
        shapes = [
            node.meta["val"].shape for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
        ]
        self.task = "burst" if len(shapes[0]) == 5 else "image"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1]."""
        with told_in_one_line(self.name, f"an input of {batch.shape}"), torch.inference_mode():
            restored: NDArray[np.float32] = self._network(torch.from_numpy(batch)).numpy()
        return restored
