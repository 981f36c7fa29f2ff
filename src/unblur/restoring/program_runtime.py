"""Restores with a torch.export program (.pt2).

A .pt2 file is a program: load only files that you exported yourself. What this module can refuse without running
anything it refuses: pickled payloads, example inputs that need pickle, and compiled libraries in the archive.
"""

import io
import json
import pickle
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file

PAYLOADS = ("weight_", "tensor_")  # names of raw tensors; objects that PyTorch would unpickle are named otherwise


class ProgramRestorer:
    """An exported program on the CPU that takes and returns (B, 3, H, W), or takes bursts (B, K, 3, H, W).

    Args:
        path: what `unblur.export.pt2.export_program` wrote.
        threads: PyTorch's threads, a setting of the whole process; None leaves it as it is.

    Raises:
        UnblurError: not a torch.export archive, or one that holds pickled objects or compiled code.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.name = path.name
        self.sha256 = sha256_file(path)
        if threads is not None:
            torch.set_num_threads(threads)
        _refuse_pickle(path)
        try:
            # The guards would refuse images of a few pixels, for which the program is right (unblur.export.pt2).
            program = torch.export.load(path)
            self._network = program.module(check_guards=False)
        except (RuntimeError, ValueError, KeyError, AssertionError) as error:
            msg = f"{path}: cannot be loaded as a torch.export program ({' '.join(str(error).split())[:200]})"
            raise UnblurError(msg) from error
        shapes = [
            node.meta["val"].shape for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
        ]
        self.task = "burst" if len(shapes[0]) == 5 else "image"

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, 3, H, W) float32 in [0, 1]."""
        with torch.inference_mode():
            restored: NDArray[np.float32] = self._network(torch.from_numpy(batch)).numpy()
        return restored


def _refuse_pickle(path: Path) -> None:
    """Look at every member of the archive that torch.export.load would unpickle or link into the process."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                folder, name = PurePosixPath(member).parts[1:-1], PurePosixPath(member).name
                if folder in (("data", "weights"), ("data", "constants")):
                    safe = _raw_tensors(archive.read(member)) if name.endswith(".json") else name.startswith(PAYLOADS)
                elif folder == ("data", "sample_inputs"):
                    safe = _loads_without_pickle(archive.read(member))
                else:
                    safe = folder in ((), (".data",), ("models",), ("extra",))
                if not safe:
                    msg = f"{path}: {member} holds pickled objects or compiled code; export the model again"
                    raise UnblurError(msg)
    except (zipfile.BadZipFile, ValueError, KeyError, AttributeError) as error:
        msg = f"{path}: not a torch.export archive ({error}); write one with `unblur export`"
        raise UnblurError(msg) from error


def _raw_tensors(config: bytes) -> bool:
    payloads = json.loads(config)["config"].values()
    return all(not p["use_pickle"] and p["path_name"].startswith(PAYLOADS) for p in payloads)


def _loads_without_pickle(content: bytes) -> bool:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return len(content) == 0
    return True
