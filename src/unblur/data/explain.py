"""One pair explained: its point-spread functions, before, after, and every number that it was made of."""

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unblur.blur.light import to_linear
from unblur.blur.recipe import Drawn, Recipe
from unblur.data.manifest import PairRow
from unblur.data.pairs import remake_pair
from unblur.data.pictures import sha256_pictures, write_pictures
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing

_GRID = 3
_MANY = 1000  # strata, so that every kind of a recipe is among them
_AROUND = ("noise_", "bayer", "wb_", "tone", "jpeg_", "exposure_gain", "highlight_", "iso")


def find_row(rows: Sequence[PairRow], name: str) -> PairRow:
    """Return the row of this pair's name, or of its number from 0; UnblurError if there is none."""
    named = [row for row in rows if row.pair == name]
    if not named and name.isdecimal() and int(name) < len(rows):
        return rows[int(name)]
    if not named:
        msg = f"there is no pair {name!r} in the manifest; expected a name, or a number from 0 to {len(rows) - 1}"
        raise UnblurError(msg)
    return named[0]


def impulses(recipe: Recipe, drawn: Drawn, height: int, width: int) -> NDArray[np.float32]:
    """Return (H, W): how a 3 x 3 grid of points of light is spread, each over its own place, as the blur may vary.

    Of a video or burst it is the brightest over the frames.
    """
    light = np.zeros((height, width, 3), np.float32)
    places = [[round(side * (i + 0.5) / _GRID) for i in range(_GRID)] for side in (height, width)]
    light[np.ix_(*places)] = 1
    blur_alone = {name: value for name, value in drawn.parameters.items() if not name.startswith(_AROUND)}
    blurred, _ = recipe.apply(light, Drawn(drawn.kind, drawn.strength, blur_alone))
    spread: NDArray[np.float32] = to_linear(blurred).reshape(-1, height, width, 3).max(axis=0).mean(axis=2)
    return spread


def explain(row: PairRow, data_root: Path, recipe: Recipe, out: Path) -> None:
    """Make the pair again and write the figure `out`, a PNG; of a video or burst it shows the frame in the middle.

    Raises:
        UnblurError: the pair's bytes are not the stored ones, so the recipe, the photograph or a library has changed.
    """
    if row.kind not in {stratum.kind for stratum in recipe.strata(_MANY)}:
        msg = f"pair {row.pair}: its kind {row.kind!r} is not in the recipe; compose the recipe that prepared it"
        raise UnblurError(msg)
    blurred, sharp = remake_pair(row, data_root, recipe)
    for image, stored in ((blurred, row.blur_sha256), (sharp, row.sharp_sha256)):
        with TemporaryDirectory() as folder:
            write_pictures(Path(folder) / "again", image)
            if sha256_pictures(Path(folder) / "again") != stored:
                msg = f"pair {row.pair}: made again, its bytes are not the stored ones; run `unblur prepare` again"
                raise UnblurError(msg)
    drawn = Drawn(row.kind, row.strength, row.parameters)
    blurred, sharp = (image if image.ndim == 3 else image[len(image) // 2] for image in (blurred, sharp))
    figure = Figure(figsize=(15, 4), layout="constrained")
    panels = figure.subplots(1, 4)
    spread = impulses(recipe, drawn, *sharp.shape[:2])
    panels[0].imshow(np.sqrt(np.maximum(spread, 0)), cmap="gray", interpolation="nearest")
    titles = ("points of light (square root)", "before", "after", f"{row.kind}, {row.strength:.1f} px")
    panels[1].imshow(sharp)
    panels[2].imshow(blurred)
    numbers = "\n".join(
        f"{name} = {value}" if isinstance(value, int) else f"{name} = {value:.5g}"
        for name, value in row.parameters.items()
    )
    panels[3].text(0, 1, numbers, va="top", family="monospace", fontsize=7)
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title)
        panel.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    with replacing(out) as unfinished:
        unfinished.write_bytes(buffer.getvalue())
