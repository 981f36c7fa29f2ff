"""unblur in a program: `unblur.load`, `restore`, `evaluate` and `explain`, the same code as the commands."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblur.config.extras import told
from unblur.errors import UnblurError, UsageError
from unblur.images.in_memory import take
from unblur.models.loading import load_chosen
from unblur.restoring.answer import restore_pixels
from unblur.restoring.folder import VIDEOS, Making, Outcome, outstanding, plan_jobs, restore_job
from unblur.runtimes.restorer import Restorer
from unblur.runtimes.tiles import plan_axis

if TYPE_CHECKING:
    from unblur.evaluation.pair_scores import PairScore, Summary
    from unblur.explaining.explanation import Explanation

Reference = str | os.PathLike[str]
Strength = float | Literal["auto"]
Track = Callable[[Sequence[Any]], Iterable[Any]]
Pixel = TypeVar("Pixel", bound=np.generic)

BY_COMMAND = "the command `unblur restore` takes videos and bursts"

# With what the command writes down of photographs beside these, each knows what the other has done already.
_OF_SEQUENCES = {"burst": False, "reference": None, "steady": True}


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
        _require_images(self)
        taken = take(photo)
        answer = restore_pixels(
            self.restorer,
            taken.pixels,
            tile=tile,
            overlap=overlap,
            batch_size=_at_least_one(batch_size),
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
        threads: of one operation; None leaves it to the runtime.
        runtime: auto, onnxruntime, openvino or torch.
        precision: auto, f32 or bf16 (OpenVINO).
        device: cpu, cuda or tensorrt; None takes a GPU where there is one.

    Raises:
        UnblurError: there is no such model, or it cannot be read or run here.
        MissingPackageError: it needs a package that is not installed; the message names the extra.
    """
    with told():
        restorer = load_chosen(model, threads, runtime=runtime, precision=precision, device=device)
    return Model(restorer, {"runtime": runtime, "precision": precision, "device": device})


def restore(
    source: Reference | Sequence[Reference],
    target: Reference,
    model: Model | Reference | None = None,
    *,
    strength: Strength = 1.0,
    guard: bool = True,
    tile: int = 512,
    overlap: int = 64,
    batch_size: int = 1,
    compare: bool = False,
    overwrite: bool = False,
    max_megapixels: float = 250.0,
    track: Track = iter,
) -> list[Outcome]:
    """Restore photographs in files, as `unblur restore` does: metadata, colour profile and 16 bits are kept.

    What is done already, of the same photographs with the same model and options, is skipped and has no outcome;
    nothing that unblur did not write is overwritten.

    Args:
        source: a photograph, a folder of them, or several of either.
        target: the file to write, or a folder.
        model: what `load` returns or takes.
        strength: see `Model`.
        guard: see `Model`.
        tile: of all of these see `Model`.
        overlap: of tiles.
        batch_size: of tiles.
        compare: write NAME.compare.png beside each: before and after.
        overwrite: restore again what is done, and replace what unblur did not write.
        max_megapixels: larger photographs are refused; Pillow's own limit, `PIL.Image.MAX_IMAGE_PIXELS`, holds too.
        track: wraps the list of photographs, for a progress bar.

    Returns:
        An outcome a photograph: `job.target`, `seconds`, `notes`, and `error`, the line that says what went wrong.

    Raises:
        UsageError: a strength outside [0, 1], or tile and overlap that do not fit together.
        UnblurError: there is nothing to restore, a target must not be written, or the only photograph has failed.
    """
    plan_axis(1, tile, overlap)
    share = share_of(strength)
    several = isinstance(source, Sequence) and not isinstance(source, str)
    sources = [Path(each) for each in source] if several else [Path(source)]  # type: ignore[arg-type, union-attr]
    if len(sources) == 1 and sources[0].suffix.lower() in VIDEOS:
        msg = f"{sources[0]}: a video; {BY_COMMAND}"
        raise UnblurError(msg)
    jobs, _ = plan_jobs(sources, Path(target), into=str(target).endswith(("/", os.sep)))
    loaded = model if isinstance(model, Model) else load(model)
    _require_images(loaded)
    options = {"tile": tile, "overlap": overlap, "strength": share, "guard": guard, **loaded.choices, **_OF_SEQUENCES}
    making = Making.by(loaded.restorer, options)
    todo = [job for job in outstanding(jobs, making, compare=compare, overwrite=overwrite) if not job.done]
    outcomes = [
        restore_job(
            loaded.restorer,
            job,
            tile=tile,
            overlap=overlap,
            batch_size=_at_least_one(batch_size),
            compare=compare,
            max_pixels=round(max_megapixels * 1e6),
            making=making,
            strength=share,
            guard=guard,
        )
        for job in track(todo)
    ]
    if len(jobs) == 1 and outcomes and outcomes[0].error:
        raise UnblurError(outcomes[0].error)
    return outcomes


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on pairs, in the unit of the metric profile: a score a pair, and the means over them."""

    profile: str
    pairs: "tuple[PairScore, ...]"
    mean: "Summary"


def evaluate(
    model: Model | Reference | None,
    pairs: Reference,
    profile: str = "psnr/aligned",
    *,
    tile: int = 0,
    overlap: int = 64,
    panels: Reference | None = None,
    track: Track = iter,
) -> Evaluation:
    """Measure a model on blurred and sharp pictures of one name, as `unblur score` does. Needs `unblur[train]`.

    Args:
        model: what `load` returns or takes.
        pairs: a folder that holds blur/ and sharp/.
        profile: a metric profile: psnr/aligned, psnr/literature, psnr/float, ssim/matlab3d or ssim/per-channel.
        tile: largest side of a tile in pixels; 0 takes each picture whole.
        overlap: least overlap of tiles in pixels.
        panels: a folder that gets before, after and truth of each pair, as PNG.
        track: wraps the list of pairs, for a progress bar.

    Raises:
        UnblurError: no such pairs or profile, a picture that cannot be read, or a model for bursts or videos.
        MissingPackageError: what is measured with is not installed.
    """
    with told():
        from unblur.evaluation.pair_scores import score_pairs, summarize
        from unblur.metrics.profiles import get_profile

    get_profile(profile)
    if tile:
        plan_axis(1, tile, overlap)
    loaded = model if isinstance(model, Model) else load(model)
    folder = None if panels is None else Path(panels)
    scores = score_pairs(loaded.restorer, Path(pairs), profile, tile=tile, overlap=overlap, panels=folder, track=track)
    return Evaluation(profile, tuple(scores), summarize(scores))


def explain(
    photo: Image.Image | NDArray[Any] | Reference,
    model: Model | Reference | None = None,
    *,
    at: tuple[int, int] | None = None,
    size: int = 32,
    maps: Sequence[str] | None = None,
    tests: bool = True,
    track: Track = iter,
) -> "Explanation":
    """Explain a model's answer, as `unblur explain` does (docs/explain.md). Needs `unblur[train]`.

    Args:
        photo: what `Model` takes; a path may be a burst's folder or a video, where the model is for those.
        model: what `load` returns or takes; a folder with model.safetensors allows all maps.
        at: middle (x, y) of the region; None takes where the model corrects most.
        size: side of the region in pixels.
        maps: their names; None takes all that the model allows.
        tests: measure each map.
        track: wraps the list of maps.

    Raises:
        UnblurError: region, photograph and maps do not fit each other or the model, or a package is missing.
    """
    with told():
        from unblur.explaining.photo import Asked, explain_photo

    restorer = (model if isinstance(model, Model) else load(model)).restorer
    asked = Asked(at, size, tuple(maps) if maps else None, tests)
    return explain_photo(restorer, photo, asked, track)


def _require_images(model: Model) -> None:
    if model.task != "image":
        msg = f"{model.name}: restores {model.task}s, not single photographs; {BY_COMMAND}"
        raise UnblurError(msg)


def share_of(strength: Strength) -> float | None:
    """Return a share, or None for auto; UsageError for anything else."""
    if strength == "auto":
        return None
    if not isinstance(strength, int | float) or not 0 <= strength <= 1:
        msg = f'strength {strength!r}: expected a number from 0 to 1, or "auto"'
        raise UsageError(msg)
    return float(strength)


def _at_least_one(batch_size: int) -> int:
    if batch_size < 1:
        msg = f"batch_size {batch_size}: expected at least 1 tile"
        raise UsageError(msg)
    return batch_size
