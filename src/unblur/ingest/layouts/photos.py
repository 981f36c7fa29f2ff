"""A folder of sharp photographs: their blur is drawn by the recipe of conf/blur."""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, is_picture

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the photographs. A folder is a scene; of those that lie in the root each is a scene of its own."""
    for base, split in split_folders(root):
        for path in sorted(path for path in base.rglob("*") if is_picture(path)):
            folder = path.parent.relative_to(base)
            scene = f"{split}/{path.stem}" if folder == Path() else folder.as_posix()
            yield LayoutEntry(None, path.relative_to(root), split, scene)


def split_folders(root: Path) -> list[tuple[Path, str]]:
    """Return the folders of the splits in `root`; without one, all of it is for training."""
    found = [(root / name, split) for name, split in SPLITS.items() if (root / name).is_dir()]
    return found or [(root, "train")]


PHOTOS = Layout(
    "photos",
    "a folder of sharp photographs, blurred by the recipe",
    "[{train,val,test}/][SCENE/]NAME.jpg",
    "image",
    entries,
)
