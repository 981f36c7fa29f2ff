import torch
from torch import nn

from unblur.losses.charbonnier import CharbonnierLoss
from unblur.training.distillation import DistillationModule, helpful

SHARP = torch.full((2, 3, 4, 4), 0.5)
BLUR = torch.stack([SHARP[0] + 0.2, SHARP[1] + 0.01])


def test_a_teacher_helps_where_it_is_closer_to_the_truth_than_the_blurred_image():
    taught = SHARP + 0.1
    assert helpful(taught, BLUR, SHARP).tolist() == [1.0, 0.0]


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, blur):
        return self.value.expand_as(blur)


def test_what_the_teacher_harms_is_not_learnt_from_it():
    losses = {}
    for where_better in (False, True):
        module = DistillationModule(
            Constant(0.5), Constant(0.6), output_weight=1.0, feature_weight=0.0, where_better=where_better,
            loss=CharbonnierLoss(), optimizer=torch.optim.SGD, scheduler=None,
        )  # fmt: skip
        module.log = lambda *args, **kwargs: None
        losses[where_better] = module.training_step({"blur": BLUR, "sharp": SHARP, "key": ["a", "b"]}, 0).item()
    truth = CharbonnierLoss()(SHARP, SHARP).item()
    assert abs(losses[False] - (truth + 0.1)) < 1e-6
    assert abs(losses[True] - (truth + 0.05)) < 1e-6
