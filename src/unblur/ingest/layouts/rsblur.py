"""RSBlur (Rim et al. 2022, "Realistic Blur Synthesis for Learning Image Deblurring"): beam splitter."""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, listed_pairs


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the pairs of the authors' three lists, which are published beside the code: copy them into the root."""
    for split in ("train", "val", "test"):
        listing = root / f"RSBlur_real_{split}.txt"
        if listing.is_file():
            yield from listed_pairs(root, listing, split, r"\d{4}")


RSBLUR = Layout(
    "rsblur",
    "RSBlur, real blur of a beam splitter camera",
    "RSBlur_real_{train,val,test}.txt and RSBlur/SCENE/NNNNNN/{real_blur/real_blur,gt/gt_sharp}.png",
    "image",
    entries,
)
