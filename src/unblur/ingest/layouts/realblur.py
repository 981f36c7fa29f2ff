"""RealBlur (Rim et al. 2020, "Real-World Blur Dataset"): two cameras behind one lens; J is JPEG, R from raw."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, listed_pairs


def entries(root: Path, kind: str) -> Iterator[LayoutEntry]:
    """Yield the pairs of the authors' two lists; `kind` is J or R."""
    for split in ("train", "test"):
        listing = root / f"RealBlur_{kind}_{split}_list.txt"
        if listing.is_file():
            yield from listed_pairs(root, listing, split, r"scene\d+")


REALBLUR_J, REALBLUR_R = (
    Layout(
        f"realblur_{kind.lower()}",
        f"RealBlur-{kind}, {about}",
        f"RealBlur_{kind}_{{train,test}}_list.txt and the folders that they name",
        "image",
        partial(entries, kind=kind),
    )
    for kind, about in (("J", "photographs in low light, as JPEG"), ("R", "photographs in low light, from raw"))
)
