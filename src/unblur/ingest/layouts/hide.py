"""HIDE (Shen et al. 2019, "Human-Aware Motion Deblurring"): people, near and far; mostly used for test."""

import re
from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, pictures

PLACES = (("train", "train"), ("test", "test/test-close-ups"), ("test", "test/test-long-shot"))


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the blurred pictures; the truth of all stands in one folder, GT. "7fromGOPR0950.png" is of one video."""
    truth = {path.stem: path for path in pictures(root / "GT")}
    for split, folder in PLACES:
        for path in pictures(root / folder):
            sharp = truth.get(path.stem, root / "GT" / path.name)
            video = re.search(r"from(\w+)", path.stem)
            scene = f"{split}/{video.group(1) if video else path.stem}"  # the splits share videos' numbers
            yield LayoutEntry(path.relative_to(root), sharp.relative_to(root), split, scene)


HIDE = Layout(
    "hide", "HIDE, people in motion", "{train,test/test-close-ups,test/test-long-shot,GT}/NAME.png", "image", entries
)
