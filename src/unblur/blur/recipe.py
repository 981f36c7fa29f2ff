"""The recipe of a dataset's blur: which kinds, how often, how strong, in what light, and by which camera."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from unblur.blur.averaging import Averaging, light_of_values, values_of_light
from unblur.blur.camera import Device
from unblur.blur.exposure import Exposure, Highlights
from unblur.blur.light import P
from unblur.blur.operator import Operator
from unblur.blur.origin import Origin, worn
from unblur.blur.photograph import draw_all, photograph, scene_light, truth
from unblur.blur.sensor import SensorNoise
from unblur.errors import UnblurError


@dataclass(frozen=True)
class Drawn:
    """One blur: its kind, its strength (extent of the PSF in pixels) and the numbers that make it again."""

    kind: str
    strength: float
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Stratum:
    """A kind and the part [low, high] of its range of strengths, from 0, the weakest, to 1, the strongest."""

    kind: str
    low: float = 0.0
    high: float = 1.0


class Recipe(Protocol):
    """What makes pairs of photographs: single images by `BlurRecipe`, videos and bursts by `unblur.blur.sequence`."""

    def draw(self, rng: Generator, severity: float = 1.0, stratum: Stratum | None = None) -> Drawn:
        """Draw one blur."""
        ...

    def strata(self, count: int) -> list[Stratum]:
        """Return the strata of as many pairs."""
        ...

    def margin(self, drawn: Drawn) -> int:
        """Return how many pixels around a crop this blur reaches for."""
        ...

    def apply(self, sharp: NDArray[Any], drawn: Drawn, margin: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return (blurred, sharp) of a photograph (H, W, 3); frames, where there are more, come first."""
        ...


@dataclass(frozen=True)
class BlurRecipe:
    """Kinds of blur by name, each with a weight; the scene's light before them and the camera after, each optional.

    `exposure` and `highlights` are the scene's light, `sensor` a whole Device or its noise alone; `averaging` says in
    which values the blur is made, without it in linear light. `origin` is what training photographs went through
    before; validation and test pairs keep the photograph itself as truth. `sensor_share` of the pairs go through the
    sensor; the others are as clean as the averaged frames of a video.
    Built from `conf/blur/*.yaml`; a kind is called by its key there. Weights need not sum to 1. They are those of
    training; validation and test pairs are shared out by `shares`, or, without them, by the weights too.
    """

    operators: Mapping[str, Operator]
    weights: Mapping[str, float]
    sensor: SensorNoise | Device | None = None
    exposure: Exposure | None = None
    highlights: Highlights | None = None
    shares: Mapping[str, float] | None = None
    averaging: Averaging | None = None
    origin: Origin | None = None
    sensor_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.sensor_share <= 1:
            msg = f"blur recipe: got sensor_share {self.sensor_share}; expected a number from 0 to 1"
            raise UnblurError(msg)
        for name, values in {"weights": self.weights, "shares": self.shares}.items():
            if values is None:
                continue
            if set(self.operators) != set(values):
                kinds = f"operators {sorted(self.operators)}, {name} {sorted(values)}"
                msg = f"blur recipe: got {kinds}; both must name the same kinds"
                raise UnblurError(msg)
            if min(values.values(), default=0) < 0 or sum(values.values()) <= 0:
                msg = f"blur recipe: got the {name} {dict(values)}; expected none below 0 and one above"
                raise UnblurError(msg)

    def draw(self, rng: Generator, severity: float = 1.0, stratum: Stratum | None = None) -> Drawn:
        """Draw one blur: a kind by its weight, a strength uniformly from its range, and the noise.

        `severity` in [0, 1] lowers the strongest blur of every kind towards its weakest, for a curriculum.
        `stratum` fixes the kind and the part of the range instead.
        """
        fixed = stratum is not None
        stratum = stratum or Stratum(self._kind(rng.random()))
        operator = self._operator(stratum.kind)
        level = rng.uniform(stratum.low, stratum.high) * min(max(severity, 0.0), 1.0)
        parameters = operator.draw(rng, level)
        sensed = self.sensor_share == 1 or rng.random() < self.sensor_share
        around = draw_all(
            rng,
            self.sensor if sensed else None,
            self.exposure,
            self.highlights,
            self.averaging,
            None if fixed else self.origin,
        )
        return Drawn(stratum.kind, operator.strength(parameters), {**parameters, **around})

    def strata(self, count: int) -> list[Stratum]:
        """Return `count` strata that share out the kinds as asked and each kind's strengths evenly, weak to strong.

        The kinds get whole numbers by the largest remainder, so a test set does not depend on luck.
        """
        asked = self.shares or self.weights
        shares = {kind: count * weight / sum(asked.values()) for kind, weight in asked.items()}
        counts = {kind: math.floor(share) for kind, share in shares.items()}
        by_remainder = sorted(shares, key=lambda kind: counts[kind] - shares[kind])
        for kind in by_remainder[: count - sum(counts.values())]:
            counts[kind] += 1
        return [Stratum(kind, i / of, (i + 1) / of) for kind, of in counts.items() for i in range(of)]

    def margin(self, drawn: Drawn) -> int:
        """Return how many pixels around a crop this blur reaches for."""
        return self._operator(drawn.kind).margin(drawn.parameters)

    def apply(self, sharp: P, drawn: Drawn, margin: int = 0) -> tuple[P, P]:
        """Return (blurred, sharp) of one sRGB image (H, W, 3): uint8, or float32 in [0, 1] and then not rounded.

        In linear light (blurred where `averaging` says) the scene is lit, blurred, saturated and given noise; then the
        camera renders it. Exposure and highlights change the truth too, which has neither blur, noise nor the
        camera's compression. The border is mirrored; a `margin` of at least `self.margin(drawn)` pixels is cut off
        both images and leaves no trace of it. The same image, blur and margin give the same bytes.
        """
        inside = slice(margin, -margin or None)
        sharp = cast("P", worn(sharp, drawn.parameters))
        scene = scene_light(sharp, drawn.parameters)
        values = self._operator(drawn.kind).apply(values_of_light(scene, drawn.parameters), drawn.parameters)
        linear = light_of_values(values[inside, inside], drawn.parameters)
        blur = photograph(linear, drawn.parameters, as_bytes=sharp.dtype == np.uint8)
        return blur, truth(sharp[inside, inside], scene[inside, inside], drawn.parameters)

    def _kind(self, place: float) -> str:
        kinds, weights = zip(*self.weights.items(), strict=True)
        edges = np.cumsum(weights)
        return str(kinds[int(np.searchsorted(edges, place * edges[-1], side="right"))])

    def _operator(self, kind: str) -> Operator:
        if kind not in self.operators:
            msg = f"blur kind {kind!r} is not in the recipe; it has: {', '.join(self.operators)}"
            raise UnblurError(msg)
        return self.operators[kind]


@dataclass(frozen=True)
class SeverityRamp:
    """A curriculum: severity grows linearly from `start` to 1 over the first `samples` training crops."""

    start: float
    samples: int

    def __call__(self, index: int) -> float:
        """Return the severity of the crop with this index."""
        return self.start + (1 - self.start) * min(index / max(self.samples, 1), 1)
