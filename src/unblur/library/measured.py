"""`unblur.evaluate`: what a model reaches on pairs, as the command `unblur score` measures it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.extras import told
from unblur.library.model import Model, Reference, Track, load
from unblur.runtimes.tiles import plan_axis

if TYPE_CHECKING:
    from unblur.evaluation.pair_scores import PairScore, Summary


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
        panels: a folder that gets before, after and truth of each pair, as PNG: a new one, or that of earlier panels.
        track: wraps the list of pairs, for a progress bar.

    Raises:
        UnblurError: no such pairs or profile, a picture that cannot be read, a model for bursts or videos, or a folder
            for panels that holds other files.
        MissingPackageError: what is measured with is not installed.
    """
    with told():
        from unblur.evaluation.pair_scores import claim_panels, score_pairs, summarize
        from unblur.metrics.profiles import get_profile

    get_profile(profile)
    if tile:
        plan_axis(1, tile, overlap)
    folder = None if panels is None else Path(panels)
    if folder is not None:
        claim_panels(folder, Path(pairs))
    loaded = model if isinstance(model, Model) else load(model)
    scores = score_pairs(loaded.restorer, Path(pairs), profile, tile=tile, overlap=overlap, panels=folder, track=track)
    return Evaluation(profile, tuple(scores), summarize(scores))
