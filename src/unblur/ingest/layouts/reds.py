"""REDS (Nah et al. 2019, "NTIRE 2019 Challenge on Video Deblurring and Super-Resolution"): 720p at 120 fps.

The truth of its test sequences was never published, so there is none here.
"""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, folders, partners


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the frames of train and val; the archives unpack to train/train_blur or, moved, to train_blur."""
    for split in ("train", "val"):
        base = root / split if (root / split / f"{split}_blur").is_dir() else root
        for sequence in folders(base / f"{split}_blur"):
            # Sequence 000 of train and of val are two scenes.
            scene = f"{split}/{sequence.name}"
            yield from partners(root, sequence, base / f"{split}_sharp" / sequence.name, split, scene)


REDS = Layout(
    "reds", "REDS, video at 720p", "[{train,val}/]{train,val}_{blur,sharp}/SEQUENCE/NNNNNNNN.png", "video", entries
)
