from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from unblur.config.instantiate import instantiate
from unblur.errors import UnblurError
from unblur.losses.charbonnier import CharbonnierLoss
from unblur.losses.combined import CombinedLoss
from unblur.losses.frequency import FrequencyLoss

LOSSES = sorted((Path(__file__).parents[2] / "conf" / "loss").glob("*.yaml"))


def test_total_is_the_weighted_sum():
    restored, truth = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    terms = {"charbonnier": CharbonnierLoss(), "frequency": FrequencyLoss()}
    total = CombinedLoss(terms, {"charbonnier": 1.0, "frequency": 0.3})(restored, truth)
    expected = terms["charbonnier"](restored, truth) + 0.3 * terms["frequency"](restored, truth)
    assert float(total) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "named"),
    [({"charbonnie": 1.0}, "charbonnie"), ({"charbonnier": -1.0}, "-1.0"), ({"charbonnier": float("nan")}, "nan")],
)
def test_wrong_weights_are_refused(weights, named):
    with pytest.raises(UnblurError, match=named):
        CombinedLoss({"charbonnier": CharbonnierLoss()}, weights)


@pytest.mark.contract
@pytest.mark.parametrize("path", LOSSES, ids=lambda path: path.stem)
def test_every_loss_preset_is_smallest_for_the_truth(path):
    loss = instantiate(OmegaConf.load(path))
    truth = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    restored = (truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    value = loss(restored, truth)
    value.backward()
    assert value.shape == ()
    assert float(value) > float(loss(truth, truth))
    assert restored.grad.abs().min() > 0
