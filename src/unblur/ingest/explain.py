"""One pair explained: its point-spread functions or motion, before, after, and every number that it was made of."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unblur.blur.frame_averaging import flow
from unblur.blur.light import to_linear
from unblur.blur.recipe import Drawn, Recipe
from unblur.data.manifest import PairRow
from unblur.data.pairs import remake_pair
from unblur.data.pictures import read_pictures, sha256_pictures, write_pictures
from unblur.errors import UnblurError
from unblur.ingest.averaging import exposed_frames, remake_average
from unblur.safety.atomic import replacing
from unblur.safety.paths import inside

SOFTWARE = "unblur data explain"

_GRID = 3
_MANY = 1000  # strata, so that every kind of a recipe is among them
_AROUND = (
    "noise_", "bayer", "wb_", "tone", "jpeg_", "exposure_gain", "highlight_", "iso", "average_", "origin_",
)  # fmt: skip


def find_row(rows: Sequence[PairRow], name: str) -> PairRow:
    """Return the row of this pair's name, or of its number from 0; UnblurError if there is none."""
    named = [row for row in rows if row.pair == name]
    if not named and name.isdecimal() and int(name) < len(rows):
        return rows[int(name)]
    if not named:
        expected = f"a name, or a number from 0 to {len(rows) - 1}" if rows else "one with pairs: it lists none"
        msg = f"there is no pair {name!r} in the manifest; expected {expected}"
        raise UnblurError(msg)
    return named[0]


def impulses(recipe: Recipe, drawn: Drawn, height: int, width: int) -> NDArray[np.float32]:
    """Return (H, W): how a 3 x 3 grid of points of light is spread, each over its own place, as the blur may vary.

    Of a video or burst it is the brightest over the frames.
    """
    light = np.zeros((height, width, 3), np.float32)
    light[np.ix_(*_places(height, width))] = 1
    blur_alone = {name: value for name, value in drawn.parameters.items() if not name.startswith(_AROUND)}
    blurred, _ = recipe.apply(light, Drawn(drawn.kind, drawn.strength, blur_alone))
    spread: NDArray[np.float32] = to_linear(blurred).reshape(-1, height, width, 3).max(axis=0).mean(axis=2)
    return spread


def close_up(spread: NDArray[np.float32], half: int) -> NDArray[np.float32]:
    """Return the surroundings of each point of `impulses`, `half` pixels to each side, side by side with bright lines.

    Of each the brightest pixel is 1, and a square root is taken, so that faint parts show.
    """
    rows, columns = _places(*spread.shape)
    padded = np.pad(np.maximum(spread, 0), half)
    side = 2 * half + 1
    sheet = np.full((_GRID * (side + 1) - 1,) * 2, 0.5, np.float32)
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            part = padded[top : top + side, left : left + side]
            inner = slice(i * (side + 1), i * (side + 1) + side), slice(j * (side + 1), j * (side + 1) + side)
            sheet[inner] = np.sqrt(part / max(float(part.max()), 1e-12))
    return sheet


def _places(height: int, width: int) -> list[list[int]]:
    return [[round(side * (i + 0.5) / _GRID) for i in range(_GRID)] for side in (height, width)]


def explain(row: PairRow, data_root: Path, recipe: Recipe, out: Path) -> None:
    """Make the pair again and write the figure `out`, a PNG; of a video or burst it shows the frame in the middle.

    Raises:
        UnblurError: the pair's bytes are not the stored ones, so the recipe, the photograph or a library has changed.
    """
    if row.kind not in {stratum.kind for stratum in recipe.strata(_MANY)}:
        msg = f"pair {row.pair}: its kind {row.kind!r} is not in the recipe; name the one that made it with --blur"
        raise UnblurError(msg)
    try:
        blurred, sharp = remake_pair(row, data_root, recipe)
    except KeyError as error:
        msg = f"pair {row.pair}: its row lacks {error}, which the recipe needs; name the one that made it with --blur"
        raise UnblurError(msg) from error
    _hold_against_the_row(row, blurred, sharp)
    blurred, sharp = (_middle(image) for image in (blurred, sharp))
    spread = impulses(recipe, Drawn(row.kind, row.strength, row.parameters), *sharp.shape[:2])
    half = max(4, min(int(row.strength) + 2, min(sharp.shape[:2]) // 2))
    _draw(row, (f"nine points of light, {2 * half + 1} px around each", close_up(spread, half)), sharp, blurred, out)


def explain_average(row: PairRow, root: Path, out: Path) -> None:
    """Average the frames of the videos below `root` again and write the figure, with how far each place moved.

    Raises:
        UnblurError: as `explain` and `unblur.ingest.averaging.remake_average`.
    """
    blurred, sharp = remake_average(row, root)
    _hold_against_the_row(row, blurred, sharp)
    frames = exposed_frames(row, root)
    moved = np.zeros(sharp.shape[:2], np.float32)
    for one, two in pairwise(frames):
        moved += np.linalg.norm(flow(one, two), axis=2)
    _draw(row, (f"motion of {len(frames)} frames, up to {moved.max():.0f} px", moved), sharp, blurred, out)


def show_pair(row: PairRow, root: Path, out: Path) -> None:
    """Write the figure of a pair that a camera made, from its files below `root`, with where the two differ."""
    if not row.blur:
        msg = f"pair {row.pair}: {row.sharp} has no blur yet; `unblur prepare` makes pairs of it"
        raise UnblurError(msg)
    blurred, sharp = (_middle(read_pictures(inside(root, file))) for file in (row.blur, row.sharp))
    if blurred.shape != sharp.shape:
        msg = f"pair {row.pair}: {row.blur} and {row.sharp} differ in size; see `unblur check-data`"
        raise UnblurError(msg)
    differ = cv2.absdiff(blurred, sharp).mean(axis=2)
    _draw(row, ("where they differ", differ), sharp, blurred, out)


def _hold_against_the_row(row: PairRow, blurred: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> None:
    for image, stored in ((blurred, row.blur_sha256), (sharp, row.sharp_sha256)):
        with TemporaryDirectory() as folder:
            write_pictures(Path(folder) / "again", image)
            if sha256_pictures(Path(folder) / "again") != stored:
                msg = (
                    f"pair {row.pair}: made again, its bytes are not the stored ones; "
                    "name the recipe that made it with --blur, or run `unblur prepare` again"
                )
                raise UnblurError(msg)


def _middle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.ndim == 3 else image[len(image) // 2]


def _draw(
    row: PairRow, first: tuple[str, NDArray[Any]], sharp: NDArray[np.uint8], blurred: NDArray[np.uint8], out: Path
) -> None:
    figure = Figure(figsize=(15, 4), layout="constrained")
    panels = figure.subplots(1, 4)
    panels[0].imshow(first[1], cmap="gray", interpolation="nearest")
    known = "" if np.isnan(row.strength) else f", {row.strength:.1f} px"
    titles = (first[0], "before", "after", f"{row.kind}{known}")
    panels[1].imshow(sharp)
    panels[2].imshow(blurred)
    numbers = "\n".join(_line(*number) for number in row.parameters.items())
    panels[3].text(0, 1, numbers, va="top", family="monospace", fontsize=7)
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title)
        panel.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": SOFTWARE})
    with replacing(out) as unfinished:
        unfinished.write_bytes(buffer.getvalue())


def _line(name: str, value: Any) -> str:  # noqa: ANN401 (whatever JSON holds)
    if isinstance(value, list):
        return f"{name}: {len(value)}, see the manifest"
    return f"{name} = {value:.5g}" if isinstance(value, float) else f"{name} = {value}"
