"""Reference values of a network: a few outputs for given weights and input, the same on every machine.

They tell a change of a network that was not meant. The weights are waves, not random numbers.
"""

import json
from pathlib import Path

import torch
from torch import nn

from unblur.networks.description import describe
from unblur.safety.atomic import replacing

FILE = Path("tests/networks/references/outputs.json")
PLACES = (0, 57, 111, 240, 399, 611)


def reference_values(network: nn.Module) -> list[float]:
    """Return some values of what the network makes of a wave of 12 x 20 pixels; its weights are replaced."""
    frames = 1 if describe(network).task == "image" else 3
    blur = (torch.arange(frames * 3 * 12 * 20, dtype=torch.float64) * 0.37).sin().float() / 2 + 0.5
    blur = blur.reshape(1, frames, 3, 12, 20)
    with torch.no_grad():
        for index, parameter in enumerate(network.eval().parameters()):
            waves = torch.sin(torch.arange(parameter.numel(), dtype=torch.float64) * 0.7 + index)
            parameter.copy_((0.2 * waves + (1.0 if parameter.ndim == 1 else 0.0)).reshape(parameter.shape))
        restored = network(blur[:, 0] if describe(network).task == "image" else blur).flatten()
    return [float(restored[place]) for place in PLACES]


def write_reference(checkout: Path, name: str, network: nn.Module) -> Path:
    """Store the values of the network of conf/model/NAME.yaml, and return the file."""
    file = checkout / FILE
    stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    stored[name] = [round(value, 6) for value in reference_values(network)]
    with replacing(file) as unfinished:
        unfinished.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n", encoding="utf-8")
    return file
