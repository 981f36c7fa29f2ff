"""From a photograph's pixels to what is kept of the model's answer: tiles, guard, strength."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.images.channels import eight_bit
from unblur.restoring.strength import NOTHING_TO_GAIN, blend, useful
from unblur.runtimes.guard import Broken, describe
from unblur.runtimes.tiles import restore_tiled

Pixels = NDArray[Any]
"""(H, W, 3) RGB: uint8, uint16, or float32 in [0, 1]."""


@dataclass(frozen=True)
class Answer:
    """Restored pixels, of the type and size of the input; `notes` say what the guard or the strength left as it was.

    `changed` is False where nothing was to gain, and the pixels are the input's. `share` is how much of the picture the
    model's answer has, 0 to 1; `guarded` counts the places that the guard has put back.
    """

    pixels: Pixels
    notes: tuple[str, ...] = ()
    changed: bool = True
    share: float = 1.0
    guarded: int = 0


def restore_pixels(
    restorer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    pixels: Pixels,
    *,
    tile: int = 512,
    overlap: int = 64,
    batch_size: int = 1,
    track: Callable[[Sequence[Any]], Iterable[Any]] = lambda steps: steps,
    strength: float | None = 1.0,
    guard: bool = True,
) -> Answer:
    """Restore the pixels of a photograph.

    Args:
        restorer: see `unblur.runtimes.restorer.Restorer`.
        pixels: (H, W, 3) uint8, uint16, or float32 in [0, 1].
        tile: see `restore_tiled`.
        overlap: see `restore_tiled`.
        batch_size: see `restore_tiled`.
        track: wraps the tiles, for a progress bar.
        strength: see `unblur.restoring.strength.blend`; None decides by region.
        guard: put back what no answer may do (`unblur.runtimes.guard`), and note it.

    Raises:
        UsageError: `tile` and `overlap` do not fit together.
        UnblurError: the model returns something else than a picture of that size.
    """
    broken: list[Broken] | None = [] if guard else None
    after = restore_tiled(restorer, pixels, tile, overlap, track, batch_size=batch_size, broken=broken)
    return finish(pixels, after, broken, strength)


def finish(before: Pixels, after: Pixels, broken: Sequence[Broken] | None, strength: float | None) -> Answer:
    """Return what is kept of a model's answer `after` to `before`, of which the guard has put `broken` back."""
    notes = (describe(broken),) if broken else ()
    share = useful(eight_bit(before), eight_bit(after)) if strength is None else strength
    if strength is None and not np.any(share):
        return Answer(before, (*notes, NOTHING_TO_GAIN), changed=False, share=0.0, guarded=len(broken or ()))
    return Answer(blend(before, after, share), notes, share=float(np.mean(share)), guarded=len(broken or ()))
