"""Learning-rate schedule: linear warm-up, a hold, then a cosine (Loshchilov & Hutter, SGDR, 2017)."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupCosine(LambdaLR):
    """Raise the learning rate linearly over the warm-up, hold it, then let it fall along half a cosine.

    Args:
        optimizer: its learning rate is the highest one.
        total_steps: optimizer steps of the whole training.
        warmup: share of the steps, in [0, 1), that the rise takes.
        hold: share of the steps, after the warm-up, at the highest rate.
        min_ratio: last learning rate over the highest one, in [0, 1]; 1 is a constant rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup: float = 0.0,
        min_ratio: float = 0.0,
        *,
        hold: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        rise = max(1, round(warmup * total_steps)) if warmup else 0
        start = rise + round(hold * total_steps)  # of the fall

        def ratio(step: int) -> float:
            if step < rise:
                return (step + 1) / (rise + 1)
            done = min(1.0, max(0, step - start) / max(1, total_steps - start))
            return min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * done))

        super().__init__(optimizer, ratio, last_epoch)
