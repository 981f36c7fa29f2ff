"""Koehler (Koehler et al. 2012, "Recording and Playback of Camera Shake"): 4 photographs by 12 recorded shakes.

Each blurred picture has some 200 truths, one for every place on the camera's path, and the paper's figure is the best
over them. A pair has one truth: the one in the middle.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, frame_number, pictures


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield Blurry{IMAGE}_{KERNEL}.png with the truth in the middle of GroundTruth{IMAGE}_{KERNEL}_{N}.png."""
    truths: dict[str, list[Path]] = defaultdict(list)
    for path in root.rglob("GroundTruth*_*_*.png"):
        if named := re.fullmatch(r"GroundTruth(\d+_\d+)_\d+", path.stem):
            truths[named[1]].append(path)
    for path in pictures(root / "BlurryImages"):
        key = path.stem.removeprefix("Blurry")
        image, _, kernel = key.partition("_")
        along = sorted(truths[key], key=lambda truth: frame_number(truth, default=0))
        lacking = root / f"Image{image}" / f"Kernel{kernel}" / f"GroundTruth{key}_1.png"
        sharp = along[len(along) // 2] if along else lacking
        yield LayoutEntry(path.relative_to(root), sharp.relative_to(root), "test", f"image{image}")


KOEHLER = Layout(
    "koehler",
    "Koehler, recorded camera shake, for test alone",
    "BlurryImages/BlurryI_K.png and [GroundTruth_pngs_ImageI/]ImageI/KernelK/GroundTruthI_K_N.png",
    "image",
    entries,
)
