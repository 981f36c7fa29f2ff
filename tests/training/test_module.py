"""The LightningModule: the NaN guard, and the averaged weights from the first step on."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import nn
from torch.utils.data import DataLoader

from unblur.errors import UnblurError
from unblur.losses.charbonnier import CharbonnierLoss
from unblur.training.module import RestorationModule, as_images
from unblur.training.schedule import WarmupCosine


class Scale(nn.Module):
    """One weight, so that every value of it can be followed by hand."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(self.weight.item())
        return x * self.weight


def items(value, count):
    return [
        {"blur": torch.full((3, 8, 8), 0.5), "sharp": torch.full((3, 8, 8), value), "key": f"photo.png#{index}"}
        for index in range(count)
    ]


def make_module(network):
    return RestorationModule(
        network,
        loss=CharbonnierLoss(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        scheduler=lambda optimizer, total_steps: WarmupCosine(optimizer, total_steps=total_steps, min_ratio=1.0),
    )


def make_trainer(callbacks=(), **settings):
    return L.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, callbacks=list(callbacks),
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **settings,
    )  # fmt: skip


def test_a_loss_that_is_not_finite_stops_with_the_samples_and_unspoilt_weights():
    network = Scale()
    data = [*items(0.2, 2), *items(float("nan"), 2)]
    with pytest.raises(UnblurError, match=r"photo\.png#0, photo\.png#1") as caught:
        make_trainer().fit(make_module(network), DataLoader(data, batch_size=2))
    assert "step 1" in str(caught.value)
    assert torch.isfinite(network.weight).all()


def test_averaged_weights_start_at_the_first_step_and_are_what_training_leaves():
    network = Scale()
    make_trainer([EMAWeightAveraging(decay=0.75)]).fit(make_module(network), DataLoader(items(0.2, 6), batch_size=1))
    # seen[i] is the weight before step i; the raw weight after the last step is one more SGD step of d/dw.
    raw = network.seen[1:]
    d = 0.5 * network.seen[-1] - 0.2
    raw.append(network.seen[-1] - 0.1 * 0.5 * d / (d**2 + 1e-6) ** 0.5)
    average = raw[0]
    for value in raw[1:]:
        average = 0.75 * average + 0.25 * value
    assert network.weight.item() == pytest.approx(average, abs=1e-6)


def test_validation_reports_psnr_and_gain_over_the_blurred_input():
    trainer = make_trainer()
    network = Scale()
    trainer.fit(make_module(network), DataLoader(items(0.5, 1), batch_size=1), DataLoader(items(0.4, 2), batch_size=1))
    restored = 0.5 * network.weight.item()
    expected = -10 * torch.log10(torch.tensor((restored - 0.4) ** 2)).item()
    assert trainer.callback_metrics["val/psnr"].item() == pytest.approx(expected, abs=1e-3)
    assert trainer.callback_metrics["val/gain"].item() == pytest.approx(expected - 20.0, abs=1e-3)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_clips_the_gradient_of_a_fused_optimizer(precision):
    network = Scale()
    module = RestorationModule(
        network,
        loss=CharbonnierLoss(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0, fused=True),
        scheduler=lambda optimizer, total_steps: WarmupCosine(optimizer, total_steps=total_steps, min_ratio=1.0),
    )
    trainer = make_trainer(precision=precision, gradient_clip_val=0.125)
    trainer.fit(module, DataLoader(items(0.2, 1), batch_size=1))
    assert network.weight.item() == pytest.approx(1 - 0.125, abs=1e-4)  # the raw gradient is about 0.5


def test_frames_of_a_video_are_images_of_the_batch_and_of_a_burst_the_first_counts():
    module = make_module(Scale())
    clip = {"blur": torch.rand(2, 3, 3, 8, 8), "sharp": torch.rand(2, 3, 3, 8, 8), "key": ["a", "b"]}
    images = {name: as_images(clip[name]) for name in ("blur", "sharp")} | {"key": ["a"] * 6}
    assert as_images(clip["blur"]).shape == (6, 3, 8, 8)
    module.log = lambda *arguments, **options: None
    losses = [module.training_step(batch, 0) for batch in (clip, images)]
    torch.testing.assert_close(*losses)  # not bit for bit: sums may go in another order
    for batch in (clip, {**clip, "sharp": clip["sharp"][:, 0]}):
        module.network = Scale() if batch is clip else FirstShot()
        module.validation_step(batch, 0)
        restored, blurred = module.val_psnr.compute(), module.val_psnr_blurred.compute()
        assert torch.equal(restored, blurred)  # a scale of one changes nothing
        module.val_psnr.reset()
        module.val_psnr_blurred.reset()


class FirstShot(nn.Module):
    def forward(self, burst):
        return burst[:, 0]


class Shots(Scale):
    """Notes how many shots each batch has."""

    def forward(self, x):
        if self.training:
            self.seen.append(x.shape[1])
        return x[:, 0] * self.weight


def test_the_shots_of_each_batch_are_drawn_by_its_step():
    data = [{"blur": torch.rand(6, 3, 8, 8), "sharp": torch.rand(3, 8, 8), "key": "a"} for _ in range(40)]

    def seen(shots):
        network = Shots()
        module = make_module(network)
        module.shots = shots
        make_trainer().fit(module, DataLoader(data))
        return network.seen

    drawn = seen((2, 5))
    assert set(drawn) == {2, 3, 4, 5}
    assert seen((2, 5)) == drawn
    assert set(seen(None)) == {6}
