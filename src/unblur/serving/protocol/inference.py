"""What REST and gRPC of the Open Inference Protocol share: the model's name and description, and one inference."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from unblur import __version__
from unblur.restoring.answer import restore_pixels
from unblur.serving.options import strength_of
from unblur.serving.protocol.tensor import INPUT, OUTPUT, Tensor, as_sent
from unblur.serving.served import Loaded, Served
from unblur.serving.settings import Settings
from unblur.serving.stopping import until

NAME = "unblur"
SHAPE = [-1, 3, -1, -1]
SERVER: dict[str, Any] = {"name": NAME, "version": __version__, "extensions": ["binary_tensor_data"]}


@dataclass(frozen=True)
class Asked:
    """A request: the image, the share of the restoration (None: auto), seconds that it may take, and its own id."""

    tensor: Tensor
    strength: float | None
    seconds: float | None
    id: str

    @classmethod
    def by(cls, tensor: Tensor, parameters: Mapping[str, Any], outputs: list[str], identity: str) -> "Asked":
        """Take a request: of its parameters `strength` and `timeout` (microseconds) count, others are passed over.

        Raises:
            HTTPException: 400 where it asks for another output.
            UsageError: a strength that cannot be.
        """
        for output in outputs:
            if output != OUTPUT:
                raise HTTPException(400, f"output {output[:40]!r}: not known; expected {OUTPUT!r}")
        timeout = parameters.get("timeout", 0)  # 0: none
        if isinstance(timeout, bool) or not isinstance(timeout, int) or not 0 <= timeout < 1 << 63:
            raise HTTPException(400, "parameter 'timeout': expected microseconds, a whole number from 0 on")
        strength = strength_of(str(parameters.get("strength", 1)))
        return cls(tensor, strength, timeout / 1e6 if timeout else None, identity)


@dataclass(frozen=True)
class Answered:
    """The restored images as they were sent; the model that made them, its notes, megapixels in all."""

    by: Loaded
    asked: Asked
    values: NDArray[Any]
    notes: tuple[str, ...]
    megapixels: float

    @property
    def parameters(self) -> dict[str, str]:
        """What is told beside the output."""
        return {"sha256": self.by.model.sha256, "notes": "; ".join(self.notes)}

    @property
    def told(self) -> dict[str, Any]:
        """What the line of the log says of it."""
        about = {"version": self.by.version, "sha256": self.by.model.sha256}
        return about | {"megapixels": self.megapixels, "format": self.asked.tensor.datatype}


def named(served: Served, name: str, version: str = "") -> Loaded:
    """Return the model that answers, if that is the one that is named.

    Raises:
        HTTPException: 404.
    """
    now = served.now
    if name != NAME:
        raise HTTPException(404, f"model {name[:40]!r}: not known; expected {NAME!r}")
    if version not in ("", now.version):
        answers = f"version {now.version} answers now" if now.version else "the model has none"
        raise HTTPException(404, f"version {version[:40]!r} of {NAME}: not served, {answers}")
    return now


def described(now: Loaded) -> dict[str, Any]:
    """Return the model's metadata."""
    inputs, outputs = ([{"name": name, "datatype": "FP32", "shape": SHAPE}] for name in (INPUT, OUTPUT))
    versions = [now.version] if now.version else []
    return {"name": NAME, "versions": versions, "platform": NAME, "inputs": inputs, "outputs": outputs}


def infer(now: Loaded, asked: Asked, settings: Settings, stop: threading.Event) -> Answered:
    """Restore each image of a request as `unblur restore` does a photograph.

    Raises:
        HTTPException: see `Tensor.pixels`.
        UnblurError: see `restore_pixels`.
        StoppedWorkError: `stop` was set.
    """
    with settings.traces.span("decode"):
        images = asked.tensor.pixels(settings.max_pixels)
    track = until(stop)
    with settings.traces.span("restore"):
        answers = [
            restore_pixels(
                now.model.restorer,
                np.ascontiguousarray(image),
                tile=settings.tile,
                overlap=settings.overlap,
                track=track,
                strength=asked.strength,
            )
            for image in track(images)
        ]
    restored = np.stack([answer.pixels for answer in answers])
    several = len(answers) > 1
    notes = [f"image {i}: {note}" if several else note for i, answer in enumerate(answers) for note in answer.notes]
    megapixels = round(restored[..., 0].size / 1e6, 3)
    return Answered(now, asked, as_sent(restored, asked.tensor.datatype), tuple(notes), megapixels)
