"""A model in a program: `unblur.load` gives one, and calling it restores a photograph."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblur.config.extras import told
from unblur.errors import UnblurError, UsageError
from unblur.images.in_memory import take
from unblur.models.loading import load_chosen
from unblur.restoring.answer import restore_pixels
from unblur.runtimes.restorer import Restorer

Reference = str | os.PathLike[str]
Strength = float | Literal["auto"]
Track = Callable[[Sequence[Any]], Iterable[Any]]
Pixel = TypeVar("Pixel", bound=np.generic)

BY_COMMAND = "the command `unblur restore` takes videos and bursts"


class Model:
    """A loaded model for photographs: call it with one.

    `name` is what it was loaded by, `sha256` that of its weights, `task` is image (or burst or video, which the command
    `unblur restore` runs). `choices` are runtime, precision and device as they were asked for.
    """

    def __init__(self, restorer: Restorer, choices: dict[str, str | None] | None = None) -> None:
        self.restorer = restorer
        self.choices = choices or {"runtime": "auto", "precision": "auto", "device": None}

    @property
    def name(self) -> str:
        """What the model was loaded by."""
        return self.restorer.name

    @property
    def sha256(self) -> str:
        """SHA-256 of the file with the weights."""
        return self.restorer.sha256

    @property
    def task(self) -> str:
        """What it restores: image, burst or video."""
        return self.restorer.task

    def __repr__(self) -> str:
        return f"Model({self.name!r}, task={self.task!r})"

    @overload
    def __call__(
        self,
        photo: Image.Image,
        *,
        strength: Strength = 1.0,
        guard: bool = True,
        tile: int = 512,
        overlap: int = 64,
        batch_size: int = 1,
        track: Track = ...,
    ) -> Image.Image: ...

    @overload
    def __call__(
        self,
        photo: NDArray[Pixel],
        *,
        strength: Strength = 1.0,
        guard: bool = True,
        tile: int = 512,
        overlap: int = 64,
        batch_size: int = 1,
        track: Track = ...,
    ) -> NDArray[Pixel]: ...

    @overload
    def __call__(
        self,
        photo: Reference,
        *,
        strength: Strength = 1.0,
        guard: bool = True,
        tile: int = 512,
        overlap: int = 64,
        batch_size: int = 1,
        track: Track = ...,
    ) -> NDArray[np.unsignedinteger[Any]]: ...

    def __call__(
        self,
        photo: Image.Image | NDArray[Any] | Reference,
        *,
        strength: Strength = 1.0,
        guard: bool = True,
        tile: int = 512,
        overlap: int = 64,
        batch_size: int = 1,
        track: Track = iter,
    ) -> Image.Image | NDArray[Any]:
        """Return the photograph restored, in the kind in which it was given.

        Args:
            photo: a NumPy array (H, W), (H, W, 3) RGB or (H, W, 4) with transparency, uint8, uint16 or float in
                [0, 1]: an array of the same shape and type comes back. A Pillow image: one of the same size and mode.
                A path: an array (H, W, 3), uint8 or uint16, upright.
            strength: share of the restoration, 0 to 1, blended in linear light; "auto" keeps what is sharp already.
            guard: put back to the input what no sound answer does, such as colour casts.
            tile: largest side of a tile, in pixels; larger ones take more memory.
            overlap: least overlap of tiles in pixels, at most half of `tile`.
            batch_size: tiles that go through together; more than one suits a GPU.
            track: wraps the list of tiles, for a progress bar such as tqdm.

        Raises:
            UsageError: a strength outside [0, 1], or tile and overlap that do not fit together.
            UnblurError: no photograph, a file that cannot be read, or a model for bursts or videos.
        """
        require_images(self)
        taken = take(photo)
        answer = restore_pixels(
            self.restorer,
            taken.pixels,
            tile=tile,
            overlap=overlap,
            batch_size=at_least_one(batch_size),
            track=track,
            strength=share_of(strength),
            guard=guard,
        )
        restored: Image.Image | NDArray[Any] = taken.back(answer.pixels)
        return restored


def load(
    model: Reference | None = None,
    *,
    threads: int | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    device: str | None = None,
) -> Model:
    """Load a model, as `unblur restore --model` does.

    Args:
        model: a name that `unblur models` lists; an .onnx, .xml or .pt2 file; a folder with model.safetensors or
            model.onnx; `models:/NAME@ALIAS`. None takes `models:/unblur@champion`, or where there is none the model
            that comes with unblur.
        threads: of one operation, 1 or more; None leaves it to the runtime.
        runtime: auto, onnxruntime, openvino or torch.
        precision: auto, f32 or bf16 (OpenVINO).
        device: cpu, cuda or tensorrt; None takes a GPU where there is one.

    Raises:
        UsageError: fewer threads than one.
        UnblurError: there is no such model, or it cannot be read or run here.
        MissingPackageError: it needs a package that is not installed; the message names the extra.
    """
    with told():
        restorer = load_chosen(model, threads, runtime=runtime, precision=precision, device=device)
    return Model(restorer, {"runtime": runtime, "precision": precision, "device": device})


def require_images(model: Model) -> None:
    """Raise UnblurError for a model of bursts or videos."""
    if model.task != "image":
        msg = f"{model.name}: restores {model.task}s, not single photographs; {BY_COMMAND}"
        raise UnblurError(msg)


def share_of(strength: Strength) -> float | None:
    """Return a share, or None for auto; UsageError for anything else."""
    if strength == "auto":
        return None
    if not isinstance(strength, int | float | np.number) or not 0 <= strength <= 1:
        msg = f'strength {strength!r}: expected a number from 0 to 1, or "auto"'
        raise UsageError(msg)
    return float(strength)


def at_least_one(batch_size: int) -> int:
    """Return the number of tiles; UsageError for less than one."""
    if batch_size < 1:
        msg = f"batch_size {batch_size}: expected at least 1 tile"
        raise UsageError(msg)
    return batch_size
