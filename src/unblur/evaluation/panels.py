"""Panels: blurred input, model's output and truth side by side, with the detail that the model changed most.

The pairs are taken at equal steps through the ranking by gain, the worst and the best among them: nobody picks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from unblur.data.images import write_png
from unblur.data.manifest import PairRow
from unblur.evaluation.fixed_pairs import Restore, read_pair, restore_checked
from unblur.evaluation.score_table import decimals, rank_pairs, unit
from unblur.evaluation.strata import describe_blur
from unblur.records.scores import BLURRED, MODEL, Score

Pixels = NDArray[np.uint8]

COLUMN = 384  # pixels of width for each of the three
ZOOM = 4
GAP = 12
LINE = 26
# A dark neutral sheet: photographs are judged on grey, and it suits a light and a dark page.
PAPER, INK, QUIET, MARK = (30, 30, 32), (240, 240, 240), (160, 160, 166), (255, 196, 0)


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: Pixels) -> Pixels:
        """Return this part of an (H, W, 3) image."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def choose_pairs(scores: Sequence[Score], profile: str, count: int) -> list[str]:
    """Return up to `count` pairs at equal steps through the model's ranking by gain, the best first."""
    ranked = rank_pairs(scores, profile)
    steps = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return [ranked[step] for step in steps]


def write_panels(
    folder: Path,
    rows: Sequence[PairRow],
    prepared_root: Path,
    restore: Restore,
    *,
    scores: Sequence[Score],
    profile: str,
) -> list[Path]:
    """Write `<pair>.png` for each row into the new folder `folder`; return the files in the order of rows.

    The captions carry the figures of `profile` out of `scores`. Images with the same settings give the same files.
    """
    value = {(score.pair, score.method): score.value for score in scores if score.profile == profile}
    for row in rows:
        blurred, sharp = read_pair(row, prepared_root)
        restored = restore_checked(MODEL, restore, row.pair, blurred, sharp.shape)
        if sharp.ndim == 5:  # of a video, the frame in the middle
            blurred, restored, sharp = (images[:, images.shape[1] // 2] for images in (blurred, restored, sharp))
        elif blurred.ndim == 5:  # of a burst, the reference
            blurred = blurred[:, 0]
        figures = [f"{value[row.pair, name]:.{decimals(profile)}f} {unit(profile)}" for name in (BLURRED, MODEL)]
        captions = (*(f"{name}   {figure}" for name, figure in zip((BLURRED, MODEL), figures, strict=True)), "truth")
        title = f"{row.pair}   {describe_blur(row.kind, row.strength)}   {profile}"
        panel = draw_panel(title, captions, [_to_pixels(image) for image in (blurred, restored, sharp)])
        write_png(folder / f"{row.pair}.png", panel)
    return [folder / f"{row.pair}.png" for row in rows]


def most_changed(before: Pixels, after: Pixels, side: int) -> Window:
    """Return the window of at most `side` x `side` pixels in which two (H, W, 3) images differ most, by mean square."""
    height, width = (min(side, length) for length in before.shape[:2])
    change = ((after.astype(np.float32) - before.astype(np.float32)) ** 2).mean(axis=2)
    # With the anchor at (0, 0) the value at a pixel is the mean over the window that begins there.
    mean = cv2.boxFilter(change, cv2.CV_64F, (width, height), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    inner = mean[: change.shape[0] - height + 1, : change.shape[1] - width + 1]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    return Window(int(top), int(left), height, width)


def draw_panel(title: str, captions: Sequence[str], images: Sequence[Pixels]) -> Pixels:
    """Return one (H, W, 3) picture: for each image its caption, the whole with a mark, and the marked detail enlarged.

    Args:
        title: the line above everything.
        captions: one for each image.
        images: before, after and truth, (H, W, 3) uint8 of one size; the detail is where the first two differ most.
    """
    window = most_changed(images[0], images[1], COLUMN // ZOOM)
    height, width = images[0].shape[:2]
    shrink = COLUMN / width
    size = (COLUMN, max(1, round(height * shrink)))
    detail = (window.width * ZOOM, window.height * ZOOM)
    top_row = GAP + 2 * LINE
    sheet = Image.new("RGB", (3 * COLUMN + 4 * GAP, top_row + size[1] + GAP + detail[1] + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=15)
    draw.text((GAP, GAP), title, fill=QUIET, font=font)
    for index, (caption, pixels) in enumerate(zip(captions, images, strict=True)):
        left = GAP + index * (COLUMN + GAP)
        draw.text((left, GAP + LINE), caption, fill=INK, font=font)
        whole = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
        sheet.paste(whole, (left, top_row))
        box = [(window.left + dx * window.width) * shrink + left for dx in (0, 1)]
        rows = [(window.top + dy * window.height) * shrink + top_row for dy in (0, 1)]
        draw.rectangle((box[0], rows[0], box[1] - 1, rows[1] - 1), outline=MARK, width=2)
        # Nearest: the reader sees pixels, not an interpolation.
        enlarged = Image.fromarray(np.ascontiguousarray(window.cut(pixels))).resize(detail, Image.Resampling.NEAREST)
        sheet.paste(enlarged, (left, top_row + size[1] + GAP))
    return np.asarray(sheet)


def _to_pixels(batch: NDArray[np.float32]) -> Pixels:
    """(1, 3, H, W) float32 in [0, 1] -> (H, W, 3) uint8."""
    pixels: Pixels = np.rint(batch[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    return pixels
