"""GoPro (Nah et al. 2017, "Deep Multi-scale CNN for Dynamic Scene Deblurring"): averaged frames at 240 fps.

`blur` is the plain mean of the sRGB frames, `blur_gamma` the mean under a gamma of 2.2; both have the same truth.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, folders, partners


def entries(root: Path, blur: str) -> Iterator[LayoutEntry]:
    """Yield the frames of every sequence, train before test; `blur` names the folder of the blurred ones."""
    for split in ("train", "test"):
        for sequence in folders(root / split):
            if (sequence / blur).is_dir():
                yield from partners(root, sequence / blur, sequence / "sharp", split, sequence.name)


GOPRO, GOPRO_GAMMA = (
    Layout(name, about, f"{{train,test}}/SEQUENCE/{{{blur},sharp}}/NNNNNN.png", "video", partial(entries, blur=blur))
    for name, blur, about in (
        ("gopro", "blur", "GoPro, blurred by the plain mean of frames"),
        ("gopro_gamma", "blur_gamma", "GoPro, blurred by the mean of frames under a gamma of 2.2"),
    )
)
