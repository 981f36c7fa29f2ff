"""DVD (Su et al. 2017, "Deep Video Deblurring for Hand-held Cameras"): 71 videos, ten of which the authors test on."""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, folders, partners

# As the authors answered in DeepVideoDeblurring's second issue on GitHub.
TEST = frozenset(
    ["720p_240fps_2", *(f"IMG_00{number}" for number in ("03", "21", "30", "31", "32", "33", "37", "39", "49"))]
)


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the frames of every video; the root may be quantitative_datasets itself."""
    base = root / "quantitative_datasets"
    for sequence in folders(base if base.is_dir() else root):
        if (sequence / "input").is_dir():
            split = "test" if sequence.name in TEST else "train"
            yield from partners(root, sequence / "input", sequence / "GT", split, sequence.name)


DVD = Layout("dvd", "DVD, hand-held video", "quantitative_datasets/SEQUENCE/{input,GT}/NNNNN.jpg", "video", entries)
