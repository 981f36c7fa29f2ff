"""A folder of pairs of your own: blurred and sharp pictures of one name, in splits or not."""

from collections.abc import Iterator
from pathlib import Path

from unblur.ingest.layouts.layout import Layout, LayoutEntry, is_picture, partners
from unblur.ingest.layouts.photos import split_folders

SIDES = (("blur", "sharp"), ("input", "target"), ("blur", "gt"), ("input", "GT"), ("lq", "gt"))


def entries(root: Path) -> Iterator[LayoutEntry]:
    """Yield the pairs. A folder in blur/ is a scene; of pictures that lie there directly each is a scene of its own.

    Where all names in a folder are numbers and nothing else, it is a sequence.
    """
    for base, split in split_folders(root):
        blur, sharp = next(
            ((base / a, base / b) for a, b in SIDES if (base / a).is_dir() and (base / b).is_dir()), (base, base)
        )
        if blur == base:
            continue
        below = {blur, *(path.parent for path in blur.rglob("*") if is_picture(path))}
        below |= {blur / path.parent.relative_to(sharp) for path in sharp.rglob("*") if is_picture(path)}
        for folder in sorted(below):
            inner = folder.relative_to(blur)
            found = list(partners(root, folder, sharp / inner, split, inner.as_posix()))
            numbered = inner != Path() and all(entry.sharp.stem.isdecimal() for entry in found)
            for entry in found:
                scene = f"{split}/{entry.sharp.stem}" if inner == Path() else inner.as_posix()
                yield LayoutEntry(entry.blur, entry.sharp, split, scene, entry.frame if numbered else None)


PAIRS = Layout(
    "pairs",
    "a folder of pairs: blurred and sharp pictures of one name",
    "[{train,val,test}/]{blur,sharp}/[SCENE/]NAME.png (or input and target, lq and gt)",
    "image",
    entries,
)
