"""Of several frames: which of them counts for a region, and which shot each place comes from."""

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.explaining.blocks import Map
from unblur.explaining.subject import Subject, blurred


def frame_effects(subject: Subject) -> list[float]:
    """Return what the score loses when a frame is taken away, for each frame of the window, the reference included."""
    count = subject.window.shape[0]
    height, width = subject.side
    masks = np.zeros((count, count, height, width), np.float32)
    masks[np.arange(count), np.arange(count)] = 1
    return [subject.whole - float(score) for score in subject.scores(subject.without(masks))]


def strongest_frame(attribution: Map, sigma: float = 6.0) -> NDArray[np.int64]:
    """Return (h, w): the frame besides which no other adds more around a place, of a map (K, h, w)."""
    shares = blurred(torch.from_numpy(np.abs(attribution))[:, None].float(), sigma)[:, 0].numpy()
    return np.asarray(shares.argmax(axis=0), np.int64)
