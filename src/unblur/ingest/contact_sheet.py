"""Contact sheets: small pictures with a caption, many on one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unblur.data.images import read_rgb, write_png
from unblur.errors import UnblurError

SOFTWARE = "unblur contact sheet"
THUMB, GAP, LINE, COLUMNS = 180, 10, 18, 3
PAPER, INK, QUIET = (30, 30, 32), (240, 240, 240), (160, 160, 166)


@dataclass(frozen=True)
class Tile:
    """One or two pictures under a title and a line of detail; a picture that cannot be read leaves its place empty."""

    title: str
    detail: str
    pictures: Sequence[Path]


def write_contact_sheet(path: Path, tiles: Sequence[Tile]) -> None:
    """Write the tiles as one PNG file, three in a row."""
    wide = 2 * THUMB + GAP
    high = 2 * LINE + THUMB + GAP
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (wide + 2 * GAP) + GAP, max(1, rows) * (high + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for index, tile in enumerate(tiles):
        left, top = GAP + index % COLUMNS * (wide + 2 * GAP), GAP + index // COLUMNS * (high + GAP)
        draw.text((left, top), _fit(tile.title), fill=INK, font=font)
        draw.text((left, top + LINE), _fit(tile.detail), fill=QUIET, font=font)
        for place, picture in enumerate(tile.pictures[:2]):
            at = left + place * (THUMB + GAP), top + 2 * LINE
            try:
                thumb = Image.fromarray(read_rgb(picture))
            except UnblurError:
                draw.rectangle((*at, at[0] + THUMB, at[1] + THUMB), outline=QUIET)
                continue
            thumb.thumbnail((THUMB, THUMB))
            sheet.paste(thumb, at)
    write_png(path, np.asarray(sheet), software=SOFTWARE)


def _fit(text: str) -> str:
    """Shorten a text to what fits above two pictures; the end of a path tells more than its beginning."""
    most = 58
    return text if len(text) <= most else f"...{text[3 - most :]}"
