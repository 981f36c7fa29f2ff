"""Restores images of any size in bounded memory: overlapping tiles, their borders thrown away, seams feathered."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError, UsageError
from unblur.runtimes.guard import Broken, mend, moved

T = TypeVar("T")
Track = Callable[[Sequence[T]], Iterable[T]]
Pixel = TypeVar("Pixel", bound=np.generic)
Batch = NDArray[np.float32]
R = TypeVar("R", bound=Callable[[Batch], Batch])

NOT_FINITE = "the model returned values that are not finite; its weights or its precision are broken"

ALIGNMENT = 16
"""Tiles start at multiples of this many pixels, so that networks with up to four halvings see the grid that they would
see on the whole image. Without it even a purely convolutional U-Net differs between tiles and the whole."""

MANY_PIXELS = 800_000
"""Of an image, as the network sees it: from so many on it pays to prepare the runtime for its size (see `settled`)."""


@dataclass(frozen=True)
class Span:
    """Where one tile lies along one axis, in pixels.

    The network sees [start, stop). Of its answer [keep_start, keep_start + len(weights)) is used, with these weights;
    over all spans of an axis the weights sum to 1 at every pixel.
    """

    start: int
    stop: int
    keep_start: int
    weights: NDArray[np.float32]

    @property
    def keep_stop(self) -> int:
        """One past the last pixel that is used."""
        return self.keep_start + len(self.weights)

    @property
    def inner(self) -> slice:
        """The used part, counted from the tile's own start."""
        return slice(self.keep_start - self.start, self.keep_stop - self.start)


def restore_tiled(
    restorer: Callable[[Batch], Batch],
    image: NDArray[Pixel],
    tile: int | tuple[int, int] = 512,
    overlap: int = 64,
    track: Track[Any] = lambda steps: steps,
    *,
    batch_size: int = 1,
    alignment: int = ALIGNMENT,
    channels: int = 3,
    broken: list[Broken] | None = None,
) -> NDArray[Pixel]:
    """Restore an (H, W, 3) image tile by tile and return one of the same shape and type.

    Integers are divided by the largest value of their type (255 or 65535) on the way in, clipped and rounded on the way
    out; float32 is taken as [0, 1] and returned as the network gave it. Besides the input and the output only one band
    of tiles is held as floats. An image that is not larger than `tile` goes through in one piece.

    For a purely convolutional network whose receptive field reaches at most `thrown_away(overlap)` pixels the result
    equals that on the whole image; global pooling (NAFNet's channel attention) sees the tile instead of the image.

    Args:
        restorer: takes (B, C, h, w) float32 in [0, 1], returns (B, channels, h, w).
        image: (H, W, C) uint8, uint16 or float32, RGB.
        tile: largest side of a tile in pixels, or largest height and width; all tiles of one image have the same size.
            A restorer with a `reduction` (`unblur.runtimes.reduced`) gets tiles, overlaps and alignment that are so
            many times as large.
        overlap: smallest overlap of neighbours in pixels, at most half of `tile`.
        track: wraps the steps, for a progress bar.
        batch_size: tiles of one band that go through together.
        alignment: tiles start at multiples of this.
        channels: that the restorer returns; the image may have more, as that of a burst's shots together does.
        broken: gets the places that `unblur.runtimes.guard` put back; None leaves the answers unguarded.

    Raises:
        UsageError: `tile` and `overlap` do not fit together.
        UnblurError: the restorer returned another shape, or values that are not finite (guarded: nothing else).
    """
    height, width = image.shape[:2]
    reduction = getattr(restorer, "reduction", 1)
    highest, widest = (side * reduction for side in ((tile, tile) if isinstance(tile, int) else tile))
    overlap, alignment = overlap * reduction, alignment * reduction
    rows = plan_axis(height, highest, overlap, alignment)
    columns = plan_axis(width, widest, overlap, alignment)
    restorer = made_for(restorer, height, width)
    groups = [columns[i : i + batch_size] for i in range(0, len(columns), batch_size)]
    following = [row.keep_start for row in rows[1:]] + [height]

    result = np.empty((height, width, channels), image.dtype)
    carry = np.zeros((0, width, channels), np.float32)  # rows that the next band still adds to
    band = carry
    finite = False
    for r, g in track([(r, g) for r in range(len(rows)) for g in range(len(groups))]):
        row, group = rows[r], groups[g]
        if g == 0:
            band = np.zeros((len(row.weights), width, channels), np.float32)
        for column, restored in zip(
            group, _restore(restorer, image, row, group, channels, checked=broken is None), strict=True
        ):
            kept = restored[:, row.inner, column.inner].transpose(1, 2, 0)  # (3, h, w) -> (h, w, 3)
            if broken is not None:
                finite = finite or bool(np.isfinite(kept).any())
                place = np.s_[row.keep_start : row.keep_stop, column.keep_start : column.keep_stop, :channels]
                kept, found = mend(image[place], kept)
                broken += moved(found, column.keep_start, row.keep_start)
            band[:, column.keep_start : column.keep_stop] += kept * column.weights[:, None]
        if g == len(groups) - 1:
            band *= row.weights[:, None, None]
            band[: len(carry)] += carry
            finished = following[r] - row.keep_start
            result[row.keep_start : row.keep_start + finished] = _from_float(band[:finished], image.dtype)
            carry = band[finished:].copy()
    if broken is not None and not finite:
        raise UnblurError(NOT_FINITE)
    return result


def settled(restorer: R) -> R:
    """Return the restorer made for inputs of which many have the same size, where its runtime can be; else itself.

    With OpenVINO that is up to 1.5 times as quick. In bfloat16 it rounds elsewhere, so whether a restorer is settled
    goes by the image alone: the same image, the same bytes.
    """
    made: R = getattr(restorer, "settled", lambda: restorer)()
    return made


def made_for(restorer: R, height: int, width: int) -> R:
    """Return the restorer settled, if an image of this size is large enough for that to pay."""
    reduction = getattr(restorer, "reduction", 1)
    return settled(restorer) if height * width >= MANY_PIXELS * reduction**2 else restorer


def thrown_away(overlap: int) -> int:
    """Return how many pixels at each inner edge of a tile are not used: half of what the feather leaves."""
    return (overlap - feather(overlap)) // 2


def feather(overlap: int) -> int:
    """Return over how many pixels neighbours are blended: a quarter of the overlap."""
    return overlap // 4


def plan_axis(length: int, tile: int, overlap: int, alignment: int = ALIGNMENT) -> list[Span]:
    """Cover `length` pixels with equally long spans of at most `tile` pixels that overlap by at least `overlap`.

    The span's length is `tile` reduced until the last span both ends at the border and starts on the alignment.

    Raises:
        UsageError: a negative overlap, one above half of the tile, or a tile below `overlap + 2 * alignment`.
    """
    if overlap < 0 or 2 * overlap > tile or tile < overlap + 2 * alignment:
        msg = (
            f"tile {tile} with overlap {overlap}: the overlap must be at least 0 and at most half of the tile, "
            f"and the tile at least {2 * alignment} pixels longer than it; try tile 512 and overlap 64"
        )
        raise UsageError(msg)
    if length <= tile:
        return [Span(0, length, 0, np.ones(length, np.float32))]

    size = tile - (tile - length) % alignment  # size = length modulo alignment, so that the last start is aligned
    travel = (length - size) // alignment  # what the starts have to cover, in units of the alignment
    longest_step = (size - overlap) // alignment
    steps = -(-travel // longest_step)
    starts = [alignment * (i * travel // steps) for i in range(steps + 1)]

    pixels = np.arange(length)
    ramps = [np.ones(length, np.float32)]  # ramps[i]: how far the image has passed from span i - 1 to span i
    blend = feather(overlap)
    for left, right in pairwise(starts):
        first = right + (left + size - right - blend) // 2
        ramp = np.clip((pixels - first + 0.5) / blend, 0, 1) if blend else (pixels >= first)
        ramps.append(ramp.astype(np.float32))
    ramps.append(np.zeros(length, np.float32))

    spans = []
    for start, (entering, leaving) in zip(starts, pairwise(ramps), strict=True):
        weights = entering - leaving  # the sum over all spans telescopes to 1
        used = np.flatnonzero(weights)
        spans.append(Span(start, start + size, int(used[0]), weights[used[0] : used[-1] + 1]))
    return spans


def _restore(
    restorer: Callable[[Batch], Batch],
    image: NDArray[Any],
    row: Span,
    group: Sequence[Span],
    channels: int,
    *,
    checked: bool,
) -> Batch:
    """Send the tiles of one row and some columns through the network: (B, channels, h, w)."""
    tiles = np.stack([_to_float(image[row.start : row.stop, column.start : column.stop]) for column in group])
    restored = restorer(tiles)
    where = f"the tile at row {row.start}, column {group[0].start}"
    if restored.shape != (len(tiles), channels, *tiles.shape[-2:]):
        kept = f"it must keep the size and {channels} channels"
        msg = f"{where}: the model returned {restored.shape} for {tiles.shape}; {kept}"
        raise UnblurError(msg)
    if checked and not np.isfinite(restored).all():
        msg = f"{where}: {NOT_FINITE}"
        raise UnblurError(msg)
    return restored


def _to_float(pixels: NDArray[Any]) -> Batch:
    """(h, w, 3) -> (3, h, w) float32; integers become [0, 1]."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    if pixels.dtype != np.float32:
        planes /= np.iinfo(pixels.dtype).max
    return planes


def _from_float(band: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Bring finished rows to the image's type; the band is overwritten."""
    if dtype == np.float32:
        return band
    largest = np.iinfo(dtype).max
    band *= largest
    np.clip(band, 0, largest, out=band)
    np.rint(band, out=band)
    return band.astype(dtype)
