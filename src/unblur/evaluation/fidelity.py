"""How near restored images are to the truth, and their colours to those of another restoration."""

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.metrics.profiles import get_profile

PROFILE = "psnr/literature"
Images = NDArray[np.float32]


def mean_score(restored: Images, sharp: Images, profile: str = PROFILE) -> float:
    """Return the mean score of images (..., 3, H, W), which are clipped to [0, 1]; frames count as images."""
    seen, truth = (torch.from_numpy(np.clip(each, 0, 1).reshape(-1, *each.shape[-3:])) for each in (restored, sharp))
    return float(get_profile(profile).compute(seen, truth).mean())


def colour_shift(restored: Images, reference: Images) -> float:
    """Return the largest shift of a channel's mean between images (..., 3, H, W), in steps of 255."""
    channels = -3 % restored.ndim
    rest = tuple(axis for axis in range(restored.ndim) if axis != channels)
    return float(255 * np.abs((restored.astype(np.float64) - reference).mean(axis=rest)).max())
