"""The LightningModule: a plain network, a loss, an optimizer and a schedule, each from the configuration."""

from collections.abc import Callable
from typing import Any, TypedDict

import lightning as L
import numpy as np
import torch
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric

from unblur.errors import UnblurError
from unblur.metrics.profiles import get_profile


class Batch(TypedDict):
    """Blurred and sharp images (B, 3, H, W) in [0, 1], and where each came from.

    Of videos both are (B, T, 3, H, W); of bursts only `blur` is.
    """

    blur: Tensor
    sharp: Tensor
    key: list[str]


class RestorationModule(L.LightningModule):
    """Trains `network` to turn blurred images into sharp ones.

    Args:
        network: maps (B, 3, H, W), or a clip or burst (B, T, 3, H, W), to what the truth is.
        loss: maps (restored, sharp) to a scalar, both (B, 3, H, W): the frames of videos are images of the batch.
        optimizer: makes an optimizer from parameters.
        scheduler: makes a schedule from `optimizer` and `total_steps`; stepped after every optimizer step.
        channels_last: compute in the channels-last memory layout, which convolutions on CPUs and tensor cores prefer.
        profile: the metric of validation.
        shots: bursts of each training batch are cut to a number of shots drawn from these two, both included; None
            leaves them. The draw is a function of the step, so that a resumed training draws the same.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        *,
        channels_last: bool = True,
        profile: str = "psnr/float",
        shots: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.loss = loss
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.profile = get_profile(profile)
        self.shots = shots
        self.val_psnr = MeanMetric()
        self.val_psnr_blurred = MeanMetric()

    def forward(self, blur: Tensor) -> Tensor:
        """Restore (B, 3, H, W), or (B, T, 3, H, W)."""
        ordered = blur.contiguous(memory_format=self.memory_format) if blur.ndim == 4 else blur
        restored: Tensor = self.network(ordered)
        return restored

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the batch's loss.

        Raises:
            UnblurError: the loss is not finite. The weights are still those from before this batch.
        """
        blur = batch["blur"]
        if self.shots:
            fewest, most = self.shots
            blur = blur[:, : np.random.default_rng(self.global_step).integers(fewest, most, endpoint=True)]
        loss: Tensor = self.loss(as_images(self(blur)), as_images(batch["sharp"]))
        if not torch.isfinite(loss):
            msg = (
                f"the loss is {loss.item()} at step {self.global_step}; its batch was {', '.join(batch['key'])}. "
                f"Look at these samples (photo#index under this seed), lower optimizer.lr or trainer.gradient_clip_val"
            )
            raise UnblurError(msg)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["key"]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Score the restored and the blurred images with the validation profile, and return the restored ones."""
        restored = as_images(self(batch["blur"]).float().clamp(0, 1))
        blur = (
            batch["blur"] if batch["blur"].ndim == batch["sharp"].ndim else batch["blur"][:, 0]
        )  # a burst's reference
        sharp = as_images(batch["sharp"])
        self.val_psnr.update(self.profile.compute(restored, sharp))
        self.val_psnr_blurred.update(self.profile.compute(as_images(blur), sharp))
        return {"restored": restored}

    def on_validation_epoch_end(self) -> None:
        """Log the means over all pairs; the gain is what training is for."""
        psnr, blurred = self.val_psnr.compute(), self.val_psnr_blurred.compute()
        self.log("val/psnr", psnr, prog_bar=True)
        self.log("val/gain", psnr - blurred, prog_bar=True)
        self.val_psnr.reset()
        self.val_psnr_blurred.reset()

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as configured; under bf16 directly, because Lightning refuses to clip for fused optimizers there.

        It refuses as such an optimizer may unscale gradients itself, but bf16 has nothing to unscale.
        """
        plugin = self.trainer.precision_plugin
        direct = isinstance(plugin, MixedPrecision) and plugin.scaler is None
        if direct and gradient_clip_val and gradient_clip_algorithm in {None, "norm"}:
            nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> dict[str, Any]:
        """Build the optimizer over the network's parameters and the schedule over all steps."""
        optimizer = self.make_optimizer(self.network.parameters())
        total_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self.make_scheduler(optimizer, total_steps=total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def as_images(images: Tensor) -> Tensor:
    """Return (B T, 3, H, W) of a clip (B, T, 3, H, W); images stay as they are."""
    return images.flatten(0, -4) if images.ndim > 4 else images
