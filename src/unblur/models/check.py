"""Whether a model on this machine is what it should be: its file by SHA-256, its outputs by stored ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unblur.errors import UnblurError
from unblur.models.catalogue import Model
from unblur.models.fetch import check_file
from unblur.models.loading import load_by_name

LARGEST_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class Checked:
    """What was found: the largest difference to the stored outputs (None without any), or what is wrong."""

    model: Model
    difference: float | None = None
    error: str | None = None


def check(model: Model) -> Checked:
    """Compare the model's file with the catalogue, and where outputs are stored, the network's with them in float32."""
    try:
        check_file(model)
        difference = None if model.reference is None else _difference(model.name, model.reference)
    except UnblurError as error:
        return Checked(model, error=str(error))
    if difference is not None and not difference <= LARGEST_DIFFERENCE:
        wrong = f"its outputs differ from the stored ones by {difference:.1e}, not {LARGEST_DIFFERENCE:.0e} at most"
        return Checked(model, difference, f"{model.name}: {wrong}; `unblur models get {model.name}` reads it again")
    return Checked(model, difference)


def _difference(name: str, reference: Path) -> float:
    """Run the stored input, (H, W, 3) uint8, and compare with the stored output, (H, W, 3) float32 in [0, 1]."""
    with np.load(reference, allow_pickle=False) as stored:
        x, y = stored["x"], stored["y"]
    batch = (x.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    restored = load_by_name(name, precision="f32")(np.ascontiguousarray(batch))
    return float(np.abs(restored[0].transpose(1, 2, 0) - y).max())
