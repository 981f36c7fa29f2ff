"""BSD (Zhong et al. 2020, "Efficient Spatio-Temporal RNN for Video Deblurring"): real blur by beam splitter.

Three parts differ in exposure of truth and blur: BSD_1ms8ms, BSD_2ms16ms, BSD_3ms24ms.
"""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, folders, partners

SPLITS = {"train": "train", "valid": "val", "test": "test"}


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the frames of one part, or of all parts in the root; each numbers its sequences anew in every split."""
    parts = [root] if (root / "train").is_dir() else [folder for folder in folders(root) if "BSD_" in folder.name]
    for part in parts:
        for folder, split in SPLITS.items():
            for sequence in folders(part / folder):
                scene = "/".join((*part.relative_to(root).parts, split, sequence.name))
                yield from partners(root, sequence / "Blur" / "RGB", sequence / "Sharp" / "RGB", split, scene)


BSD = Layout(
    "bsd",
    "BSD, real blurred video of a beam splitter camera",
    "[BSD_1ms8ms/]{train,valid,test}/SEQUENCE/{Blur,Sharp}/RGB/NNNNNNNN.png",
    "video",
    entries,
)
