"""What a recipe makes of one photograph: every kind, weak to strong, at full size beside the sharp picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from unblur.blur.recipe import Recipe
from unblur.data.images import write_png
from unblur.errors import UnblurError
from unblur.ingest.contact_sheet import GAP, INK, LINE, PAPER

COLUMNS = 4
Photo = NDArray[np.uint8]


def write_recipe_sheet(path: Path, recipe: Recipe, photo: Photo, *, side: int, count: int = 11) -> None:
    """Write `count` blurred pictures of the middle of `photo` (H, W, 3) with kind and strength as one PNG file.

    The recipe shares them out as it does validation pairs. Of a video or burst the frames of one sequence are shown.

    Raises:
        UnblurError: the photograph is smaller than `side` pixels, or that is too little to show.
    """
    if not 16 <= side <= min(photo.shape[:2]):
        size = f"{photo.shape[1]} x {photo.shape[0]}"
        msg = f"the photograph has {size} pixels, got a side of {side}; expected 16 to {min(photo.shape[:2])}"
        raise UnblurError(msg)
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    sharp = np.ascontiguousarray(photo[top : top + side, left : left + side])
    tiles: list[tuple[str, Photo]] = [("sharp", sharp)]
    for number, stratum in enumerate(recipe.strata(count)):
        drawn = recipe.draw(np.random.default_rng(number), stratum=stratum)
        if "frames" in drawn.parameters:
            continue
        tiles.append((f"{drawn.kind}, {drawn.strength:.1f} px", recipe.apply(sharp, drawn)[0]))
    if len(tiles) == 1:
        drawn = recipe.draw(np.random.default_rng(0), stratum=recipe.strata(count)[-1])
        frames: Any = recipe.apply(sharp, drawn)[0]
        tiles += [(f"{drawn.kind}, frame {number}", frame) for number, frame in enumerate(frames)]
    write_png(path, _sheet(tiles, side))


def _sheet(tiles: Sequence[tuple[str, Photo]], side: int) -> Photo:
    rows = -(-len(tiles) // COLUMNS)
    wide, high = side + GAP, side + LINE + GAP
    sheet = Image.new("RGB", (COLUMNS * wide + GAP, rows * high + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for index, (caption, picture) in enumerate(tiles):
        left, top = GAP + index % COLUMNS * wide, GAP + index // COLUMNS * high
        draw.text((left, top), caption, fill=INK, font=font)
        sheet.paste(Image.fromarray(picture), (left, top + LINE))
    return np.array(sheet)
