"""Every tile shows its pictures; one that cannot be read leaves its place."""

import numpy as np

from unblur.data.images import read_rgb, write_png
from unblur.ingest.contact_sheet import COLUMNS, Tile, write_contact_sheet


def test_the_pictures_are_on_the_sheet(tmp_path):
    for name, colour in {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}.items():
        write_png(tmp_path / f"{name}.png", np.full((300, 400, 3), colour, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"junk")
    tiles = [Tile("a" * 200, "detail", [tmp_path / "red.png", tmp_path / "green.png"])]
    tiles += [Tile("b", "", [tmp_path / "blue.png", tmp_path / "broken.png"])] * COLUMNS
    write_contact_sheet(tmp_path / "sheet.png", tiles)
    sheet = read_rgb(tmp_path / "sheet.png")
    areas = [int((sheet == colour).all(axis=2).sum()) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    assert areas == [180 * 135, 180 * 135, COLUMNS * 180 * 135]
