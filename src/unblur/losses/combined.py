"""A weighted sum of named losses."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError


class CombinedLoss(nn.Module):
    """The sum of `weights[name] * losses[name](restored, truth)`.

    Args:
        losses: the terms, each a module that takes restored and truth and returns a scalar.
        weights: one finite, non-negative number for each term.

    Raises:
        UnblurError: there is no term, the names of the two do not agree, or a weight is negative or not finite.
    """

    def __init__(self, losses: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        if not losses or set(losses) != set(weights):
            msg = (
                f"the combined loss has terms {sorted(losses)} and weights {sorted(weights)}: "
                "expected at least one term, and one weight for each"
            )
            raise UnblurError(msg)
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                msg = f"the loss weight {name}={weight} is not usable: expected a finite number of at least 0"
                raise UnblurError(msg)
        self.losses = nn.ModuleDict(losses)
        self.weights = dict(weights)

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Return the weighted sum, a scalar."""
        terms = [self.weights[name] * loss(restored, truth) for name, loss in self.losses.items()]
        return torch.stack(terms).sum()
