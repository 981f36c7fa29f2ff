"""Checkpoints that a power cut, a full disk or a flipped bit cannot make the end of a training."""

import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from unblur.config.processes import is_first_process
from unblur.safety.archives import check_names
from unblur.safety.atomic import replacing

log = logging.getLogger(__name__)

LAST, PREVIOUS, ASIDE = "last.ckpt", "previous.ckpt", ".unreadable"


class KeptCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the one that is there, brings it to the disk, and keeps the one before."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: object = None
    ) -> None:
        """Write `path`; what was there becomes `previous.ckpt`."""
        whole = Path(path)
        with replacing(whole, keep=whole.with_name(PREVIOUS)) as unfinished, unfinished.open("wb") as stream:
            torch.save(checkpoint, stream)


def newest_readable(folder: Path) -> Path | None:
    """Return the newest checkpoint of a training that can be read, or None.

    One that is damaged is named in a warning and set aside, as `last.ckpt.unreadable`.

    Raises:
        PermissionError: one is there and may not be read.
    """
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        reason = _damage(path)
        if reason is None:
            return path
        if is_first_process():  # the others only pass it over
            path.replace(path.with_name(path.name + ASIDE))
            log.warning(
                "%s: is damaged (%s); set aside as %s, the one before is taken", path, reason, path.name + ASIDE
            )
    return None


def _damage(path: Path) -> str | None:
    """Say what is wrong with a checkpoint: PyTorch's reader does not compare checksums, the archive's own does."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_names(archive.namelist(), path)
            if broken := archive.testzip():
                return f"the checksum of {broken} is another"
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except PermissionError:
        raise
    except Exception as error:  # a damaged file makes zipfile and torch raise whatever they come across
        return (str(error).splitlines() or ["empty"])[0][:100]
    return None
