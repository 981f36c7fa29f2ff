"""`unblur.explain`: why a model answered as it did, as the command explains it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from PIL import Image

from unblur.config.extras import told
from unblur.library.model import Model, Reference, Track, load

if TYPE_CHECKING:
    from unblur.explaining.explanation import Explanation


def explain(
    photo: Image.Image | NDArray[Any] | Reference,
    model: Model | Reference | None = None,
    *,
    at: tuple[int, int] | None = None,
    size: int = 32,
    maps: Sequence[str] | None = None,
    tests: bool = True,
    whole: bool = False,
    track: Track = iter,
) -> "Explanation":
    """Explain a model's answer, as `unblur explain` does (docs/explain.md). Needs `unblur[train]`.

    Args:
        photo: what `Model` takes; a path may be a burst's folder or a video, where the model is for those.
        model: what `load` takes, and is computed in float32 then, or what it returns, in its own precision; a folder
            with model.safetensors allows all maps.
        at: middle (x, y) of the region; None takes where the model corrects most.
        size: side of the region in pixels.
        maps: their names; None takes all that the model allows, and of a region `at` a place the intervention.
        tests: measure each map.
        whole: explain also the photograph around a region `at` a place, and what the network holds, in minutes.
        track: wraps the list of maps.

    Raises:
        UnblurError: region, photograph and maps do not fit each other or the model, or a package is missing.
    """
    with told():
        from unblur.explaining.photo import Asked, explain_frames
        from unblur.explaining.source import find_calibration, take_source

    restorer = (model if isinstance(model, Model) else _exact(model)).restorer
    source, name = take_source(photo, restorer)
    asked = Asked(
        at,
        size,
        None if maps is None else tuple(maps),
        tests,
        reference=source.reference,
        numbers=source.numbers,
        whole=whole,
    )
    bounds = find_calibration(None, restorer.sha256)
    return explain_frames(restorer, source.frames, name, asked, calibration=bounds, track=track)


def _exact(model: Reference | None) -> Model:
    """Return the model in float32: in bfloat16 small effects are lost."""
    from unblur.explaining.source import with_gradients

    return load(with_gradients(model) if isinstance(model, str) else model, precision="f32")
