"""Tiny fakes of every layout, as published. A scene's pictures have its own colour, a pair's its own brightness.

The blurred picture is its truth minus one step of brightness, so a test can tell which truth belongs to it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from unblur.data.manifest import PairRow, write_manifest

Counts = dict[str, int]


class Fake:
    """Writes pictures; `content[blurred file] = sharp file` is what a reader has to find."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.number = 0

    def picture(self, file: str, number: int, change: int = 0) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        y, x = np.mgrid[0:24, 0:32]
        image = np.stack([x * 4, y * 5, np.full_like(x, 2 * number % 250 + 2 - change)], -1).astype(np.uint8)
        Image.fromarray(image).save(path, quality=100, subsampling=0)

    def pair(self, blur: str, sharp: str) -> None:
        self.number += 1
        self.picture(blur, self.number, change=1)
        self.picture(sharp, self.number)


def gopro(root: Path) -> Counts:
    fake = Fake(root)
    for split, sequences in {"train": ("GOPR0372_07_00", "GOPR0374_11_00"), "test": ("GOPR0384_11_00",)}.items():
        for sequence in sequences:
            for frame in (9, 10, 11):
                stem = f"{split}/{sequence}"
                fake.pair(f"{stem}/blur/{frame:06d}.png", f"{stem}/sharp/{frame:06d}.png")
                fake.picture(f"{stem}/blur_gamma/{frame:06d}.png", fake.number, change=1)
    return {"train": 6, "test": 3}


def hide(root: Path) -> Counts:
    fake = Fake(root)
    for file in ("train/7fromGOPR0950", "train/8fromGOPR0950", "test/test-close-ups/1fromGOPR1034"):
        fake.pair(f"{file}.png", f"GT/{Path(file).name}.png")
    fake.pair("test/test-long-shot/3fromGOPR0950.png", "GT/3fromGOPR0950.png")
    return {"train": 2, "test": 2}


def realblur(kind: str, folder: str) -> Callable[[Path], Counts]:
    def make(root: Path) -> Counts:
        fake = Fake(root)
        for split, scene in (("train", "scene001"), ("test", "scene002")):
            lines = []
            for number in (1, 2, 10):
                blur, sharp = (f"{folder}/{scene}/{side}/{side}_{number}.png" for side in ("blur", "gt"))
                fake.pair(blur, sharp)
                lines.append(f"{sharp} {blur}\n")
            (root / f"RealBlur_{kind}_{split}_list.txt").write_text("".join(lines))
        return {"train": 3, "test": 3}

    return make


def rsblur(root: Path) -> Counts:
    fake = Fake(root)
    for scene, split in (("0001", "train"), ("0002", "val"), ("0003", "test")):
        lines = []
        for number in ("000001", "000002"):
            folder = f"RSBlur/{scene}/{number}"
            fake.pair(f"{folder}/real_blur/real_blur.png", f"{folder}/gt/gt_sharp.png")
            lines.append(f"{folder}/gt/gt_sharp.png {folder}/real_blur/real_blur.png\n")
        (root / f"RSBlur_real_{split}.txt").write_text("".join(lines))
    return {"train": 2, "val": 2, "test": 2}


def reds(root: Path) -> Counts:
    fake = Fake(root)
    for split, sequences in (("train", ("000", "001")), ("val", ("000",))):
        for sequence in sequences:
            for frame in range(3):
                blur, sharp = (f"{split}/{split}_{side}/{sequence}/{frame:08d}.png" for side in ("blur", "sharp"))
                fake.pair(blur, sharp)
    return {"train": 6, "val": 3}


def dvd(root: Path) -> Counts:
    fake = Fake(root)
    for sequence in ("720p_240fps_1", "IMG_0001", "IMG_0003"):
        for frame in range(3):
            blur, sharp = (f"quantitative_datasets/{sequence}/{side}/{frame:05d}.jpg" for side in ("input", "GT"))
            fake.pair(blur, sharp)
    return {"train": 6, "test": 3}


def bsd(root: Path) -> Counts:
    fake = Fake(root)
    for split in ("train", "valid", "test"):
        for frame in range(3):
            blur, sharp = (f"BSD_1ms8ms/{split}/000/{side}/RGB/{frame:08d}.png" for side in ("Blur", "Sharp"))
            fake.pair(blur, sharp)
    return {"train": 3, "val": 3, "test": 3}


def koehler(root: Path) -> Counts:
    fake = Fake(root)
    for image in (1, 2):
        for kernel in (1, 12):
            truth = f"Image{image}/Kernel{kernel}/GroundTruth{image}_{kernel}"
            fake.pair(f"BlurryImages/Blurry{image}_{kernel}.png", f"{truth}_9.png")
            fake.picture(f"{truth}_8.png", 99)
            fake.picture(f"{truth}_10.png", 98)
    return {"test": 4}


def pairs(root: Path) -> Counts:
    fake = Fake(root)
    for split in ("train", "val", "test"):
        fake.pair(f"{split}/input/a {split}.png", f"{split}/target/a {split}.png")
        for frame in (1, 2):
            fake.pair(f"{split}/input/street {split}/{frame}.jpg", f"{split}/target/street {split}/{frame}.png")
    return {"train": 3, "val": 3, "test": 3}


def photos(root: Path) -> Counts:
    fake = Fake(root)
    for number, name in enumerate(("a.jpg", "walk/b.png", "walk/c.JPG", "d.webp")):
        fake.picture(name, number)
    return {"train": 4}


def videos(root: Path) -> Counts:
    for name in ("train/a.mp4", "train/walk/b.MOV", "test/c.mkv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return {"train": 2, "test": 1}


def averaged(root: Path) -> Counts:
    """Two clips, the first of two shots; the second's folder is in another split."""
    fake, rows = Fake(root), []
    for split, clip, shots in (("train", "car", (3, 3)), ("test", "city", (3,))):
        first = 0
        for shot, count in enumerate(shots):
            for _ in range(count):
                blur, sharp = (f"{split}/{side}/{clip}/{first + 2:06d}.png" for side in ("blur", "sharp"))
                fake.pair(blur, sharp)
                made = {"frames": 5, "gamma": 2.2, "interpolate": 1, "first_frame": first, "shot": shot}
                pair = f"{clip}_{first + 2:06d}"
                about = (pair, split, clip, f"{clip}.mp4", blur, sharp, 0, "frame_average", 4.0, made, "", "")
                rows.append(PairRow(*about))
                first += 5
    write_manifest(root, rows)
    return {"train": 6, "test": 3}


MAKERS: dict[str, Callable[[Path], Counts]] = {
    "gopro": gopro,
    "gopro_gamma": gopro,
    "hide": hide,
    "realblur_j": realblur("J", "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"),
    "realblur_r": realblur("R", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref"),
    "rsblur": rsblur,
    "reds": reds,
    "dvd": dvd,
    "bsd": bsd,
    "koehler": koehler,
    "pairs": pairs,
    "photos": photos,
    "videos": videos,
    "averaged": averaged,
}
"""Layout -> what writes its fake into a folder and returns the number of entries in each split."""


def _of_file(path: Path) -> Callable[[Path], Counts]:
    """Return the maker that a file `fake_LAYOUT.py` beside this one defines."""
    content: dict[str, Callable[[Fake], Counts]] = {}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), content)
    return lambda root: content["make"](Fake(root))


MAKERS |= {path.stem.removeprefix("fake_"): _of_file(path) for path in Path(__file__).parent.glob("fake_*.py")}
