"""Training a smaller network to do what a larger one does (Hinton et al. 2015), with the truth as well."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.training.module import Batch, RestorationModule, as_images


class DistillationModule(RestorationModule):
    """Adds to the loss how far the student is from its teacher, in what they give and in their features.

    Features are compared as maps of their mean square over the channels, each divided by its length, so a student may
    have fewer channels (attention transfer, Zagoruyko and Komodakis 2017, ICLR). The distance of outputs is the mean
    absolute difference.

    Args:
        student: is trained.
        teacher: stays as it is.
        output_weight: of the distance of outputs.
        feature_weight: of the mean distance of features.
        where_better: only outputs of the teacher that are closer to the truth than the blurred image is are taught.
            What the teacher harms, such as sharp images, is learnt from the truth alone.
        rest: what RestorationModule takes.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        *,
        output_weight: float,
        feature_weight: float,
        where_better: bool = False,
        **rest: Any,  # noqa: ANN401 (RestorationModule says what)
    ) -> None:
        super().__init__(student, **rest)
        # In a list, so that the teacher is neither trained, averaged nor saved with the student.
        frozen = teacher.eval().requires_grad_(False)
        self._teacher = [frozen.to(memory_format=self.memory_format)]  # type: ignore[call-overload]
        self.output_weight, self.feature_weight = output_weight, feature_weight
        self.where_better = where_better
        self._maps: dict[str, list[Tensor]] = {"student": [], "teacher": []}
        if feature_weight:
            for name, network in (("student", student), ("teacher", teacher)):
                for stage in feature_stages(network):
                    stage.register_forward_hook(self._keeper(name))

    def on_fit_start(self) -> None:
        """Bring the teacher to where the student is."""
        self._teacher[0].to(self.device)

    def forward(self, blur: Tensor) -> Tensor:
        """Restore, and keep what came out for the comparison."""
        self._restored = super().forward(blur)
        return self._restored

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the batch's loss with the distances from the teacher."""
        for maps in self._maps.values():
            maps.clear()
        loss = super().training_step(batch, batch_idx)
        blur = batch["blur"]
        with torch.no_grad():
            taught: Tensor = self._teacher[0](
                blur.contiguous(memory_format=self.memory_format) if blur.ndim == 4 else blur
            )
        apart = (as_images(self._restored) - as_images(taught)).abs().mean((1, 2, 3))
        if self.where_better:
            apart = apart * helpful(taught, blur, batch["sharp"])
        loss = loss + self.output_weight * apart.mean()
        if self.feature_weight and self._maps["student"]:
            pairs = zip(self._maps["student"], self._maps["teacher"], strict=True)
            loss = loss + self.feature_weight * torch.stack([_apart(*pair) for pair in pairs]).mean()
        return loss

    def _keeper(self, name: str) -> Callable[[nn.Module, Sequence[Any], Tensor], None]:
        def keep(module: nn.Module, inputs: Sequence[Any], output: Tensor) -> None:
            if self.training:
                self._maps[name].append(output)

        return keep


def helpful(taught: Tensor, blur: Tensor, sharp: Tensor) -> Tensor:
    """Return for each image of the batch 1.0 where `taught` is closer to `sharp` than `blur` is, else 0.0."""
    errors = [(as_images(image).float() - as_images(sharp)).square().mean((1, 2, 3)) for image in (taught, blur)]
    return (errors[0] < errors[1]).float()


def feature_stages(network: nn.Module) -> list[nn.Module]:
    """Return the parts whose features are compared: the levels of a U-shaped network on the way up."""
    return list(getattr(network, "decoders", []))


def _apart(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared distance of two feature maps' attention, each of length 1."""
    maps = [F.normalize(features.float().square().mean(dim=1).flatten(1), dim=1) for features in (student, teacher)]
    return (maps[0] - maps[1]).square().sum(dim=1).mean()
