"""The pictures of an explanation, each with a title and a word on what it shows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unblur.explaining import pictures
from unblur.explaining.activations import Features
from unblur.explaining.attention import Attention
from unblur.explaining.blocks import Map
from unblur.explaining.blur_map import BlurMap
from unblur.explaining.explanation import Picture
from unblur.explaining.methods import METHODS
from unblur.explaining.region import Region
from unblur.explaining.subject import Subject
from unblur.explaining.words import of_pixels
from unblur.records.explanation import Fidelity

Field = NDArray[np.float32]


def photo_pictures(what: str, before: Field, after: Field, region: Region) -> list[Picture]:
    """Return `what` is restored and the answer (H, W, 3), their difference, and the region enlarged."""
    change = 255 * np.sqrt(((after - before) ** 2).mean(axis=2))
    zoom = region.rows, region.columns
    shown = {
        "before": (what, "with the region that is explained", pictures.draw_picture(before, region)),
        "after": ("restored", "the model's answer", pictures.draw_picture(after, region)),
        "correction": (
            "correction",
            "how much each pixel was changed",
            pictures.draw_map(change, "steps of 255", region=region),
        ),
        "region_before": ("region, before", "as it was", pictures.draw_picture(before[zoom])),
        "region_after": ("region, restored", "as the model draws it", pictures.draw_picture(after[zoom])),
    }
    return [Picture(name, "photo", *told) for name, told in shown.items()]


def blur_pictures(what: str, blur: BlurMap, spectrum: BlurMap, region: Region) -> list[Picture]:
    """Return the blur by the model's correction and by the spectrum, and its direction."""
    known = [np.where(each.weight > np.quantile(each.weight, 0.2), each.extent, np.nan) for each in (blur, spectrum)]
    by_correction, by_spectrum = (
        pictures.draw_map(each, "extent in pixels", region=region, top=_top(each)) for each in known
    )
    return [
        Picture("blur_by_spectrum", "blur", f"by the {what}'s spectrum",
                "two bands compared, without the model; white: too flat to tell", by_spectrum),
        Picture("blur_by_correction", "blur", "by the model's correction",
                "the blur whose removal explains best what the model did; white: too flat to tell", by_correction),
        Picture("blur_direction", "blur", "direction of the blur",
                "by the spectrum, in the plane of the picture; long strokes are strong blur",
                pictures.draw_angles(spectrum.direction, spectrum.extent * np.isfinite(known[1]))),
    ]  # fmt: skip


def _top(extent: Field) -> float:
    """Return where the colour bar of a blur's extent ends, of which NaN is not told."""
    told = extent[np.isfinite(extent)]
    return float(np.percentile(told, 99)) if len(told) else 1.0


def map_pictures(maps: dict[str, Map], fidelity: dict[str, Fidelity], subject: Subject, under: Field) -> list[Picture]:
    """Return what each map (K, h, w) shows over the window `under` (h, w, 3), and what it failed."""
    shown = []
    for name, found in maps.items():
        method = METHODS[name]
        summed = found.sum(axis=0)
        # A pixel's share of the correction is small: parts in a million are easier to read.
        png = pictures.draw_map(
            1e6 * summed, "millionths of the correction", region=subject.region, under=under, signed=True
        )
        failed = fidelity[name].failed if name in fidelity else ""
        shown.append(Picture(f"map_{name}", "maps", method.title, method.about, png, failed))
    return shown


def doubt_pictures(spread: Field, near: Field, region: Region, bound: Field | None, level: float) -> list[Picture]:
    """Return the spread (H, W) of turned answers around the region, and the bound on errors, for `level` of pixels."""
    about = "standard deviation of the answers to 8 turned and mirrored copies, around the region"
    png = pictures.draw_map(255 * spread, "steps of 255", region=region, under=near)
    shown = [Picture("spread", "doubt", "turned answers differ", about, png)]
    if bound is not None:
        png = pictures.draw_map(255 * bound, "steps of 255", region=region, under=near)
        about = f"{of_pixels(level)} pixels are wrong by less than this"
        shown.append(Picture("error_bound", "doubt", "bound on the error", about, png))
    return shown


def invented_picture(what: str, invented: Field, region: Region) -> list[Picture]:
    """Return the share (H, W) of invented detail over the whole picture."""
    about = f"share of the detail at frequencies where the {what} holds noise alone"
    png = pictures.draw_map(invented, "share", region=region)
    return [Picture("invented", "doubt", "invented detail", about, png)]


def feature_pictures(held: Sequence[Features]) -> list[Picture]:
    """Return energy and first principal component of each block."""
    shown = []
    for each in held:
        size = f"{each.energy.shape[1]} x {each.energy.shape[0]}, {each.channels} channels"
        shown.append(
            Picture(f"energy_{each.block}", "features", f"{each.block}: energy", size,
                    pictures.draw_map(each.energy, "root mean square"))
        )  # fmt: skip
        about = f"{100 * each.explained:.0f} % of the variance"
        shown.append(
            Picture(f"component_{each.block}", "features", f"{each.block}: first component", about,
                    pictures.draw_map(each.component, "component", signed=True))
        )  # fmt: skip
    return shown


def attention_pictures(found: Sequence[Attention]) -> list[Picture]:
    """Return the maps of attention."""
    shown = []
    for each in found:
        if each.kind == "pixels":
            about = "how much the pixel in the middle of the region looks at each of its window"
        elif len(each.values) == 1:
            about = "the factor of each channel"
        else:
            about = "how much each channel (row) looks at each other, in the first head"
        values = each.values
        if len(values) == 1:
            values = np.repeat(values, max(values.shape[1] // 8, 1), axis=0)
        png = pictures.draw_map(values, "weight", signed=bool((values < 0).any()))
        shown.append(Picture(f"attention_{each.layer}", "features", f"{each.layer}: attention", about, png))
    return shown


def frame_pictures(
    what: str, strongest: NDArray[np.int64], numbers: Sequence[int], reference: int, region: Region
) -> list[Picture]:
    """Return from which of the frames of these numbers, each a `what`, each place of the window (h, w) takes most."""
    png = pictures.draw_choice(strongest, numbers, f"{what} ({numbers[reference]} is restored)", region)
    return [Picture("frames", "maps", f"which {what} counts", f"the {what} that adds most around each place", png)]
