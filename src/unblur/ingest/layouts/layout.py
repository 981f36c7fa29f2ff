"""What a layout is: the published structure of a dataset, read into entries without moving or decoding a file."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unblur.errors import UnblurError
from unblur.images.heif import SUFFIXES

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", *SUFFIXES)
Task = Literal["image", "video"]


@dataclass(frozen=True)
class LayoutEntry:
    """A blurred file and its truth, relative to the dataset's root.

    `blur` is None for a sharp photograph or a video, which get their blur later. `frame` is the place in the
    sequence `scene`, None where files of a scene are no sequence. Scenes of one `clip` go into one split together;
    None is a scene that stands alone. `strength` is the extent of the blur in pixels, NaN where nobody knows it.
    """

    blur: Path | None
    sharp: Path
    split: str
    scene: str
    frame: int | None = None
    clip: str | None = None
    strength: float = math.nan

    @property
    def kept_together(self) -> str:
        """What is never shared out over two splits: the clip, or else the scene."""
        return self.clip or self.scene


@dataclass(frozen=True)
class Layout:
    """The structure of one dataset.

    Attributes:
        name: what `unblur data import` calls it.
        about: one line for its help.
        expects: the files below the root, as they are published.
        task: "video" where the entries of a scene are frames in order.
        entries: lists the entries of a root, split by split, frames in order; nothing where nothing fits.
    """

    name: str
    about: str
    expects: str
    task: Task
    entries: Callable[[Path], Iterable[LayoutEntry]]

    def require_folder(self, root: Path) -> None:
        """Do nothing if there is a folder `root`, UnblurError otherwise."""
        if not root.is_dir():
            msg = f"{root}: there is no such folder; expected {self.expects} below it"
            raise UnblurError(msg)

    def read(self, root: Path) -> list[LayoutEntry]:
        """Return the entries of the dataset at `root`; no file is opened but lists of pairs.

        Raises:
            UnblurError: `root` is no such dataset, a file is missing, or a scene lies in two splits.
        """
        self.require_folder(root)
        found = list(self.entries(root))
        if not found:
            inside = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
            msg = f"{root}: not the layout {self.name}: expected {self.expects} below it, found {inside}"
            raise UnblurError(msg)
        for entry in found:
            for file in (entry.blur, entry.sharp):
                if file is not None and not (root / file).is_file():
                    other = entry.sharp if file == entry.blur else entry.blur
                    msg = f"{root / file}: missing, the partner of {other}; fetch it again, or remove the other"
                    raise UnblurError(msg)
        _refuse_leaks(root, found)
        return found


def partners(root: Path, blur: Path, sharp: Path, split: str, scene: str) -> Iterator[LayoutEntry]:
    """Yield the frames of a sequence: pictures of one name in the folders `blur` and `sharp`, in order.

    Raises:
        UnblurError: a picture has no partner, or two pictures of a folder differ in their endings alone.
    """
    left, right = _by_stem(blur), _by_stem(sharp)
    for stem in sorted(left.keys() ^ right.keys()):
        lonely = left.get(stem) or right[stem]
        msg = f"{lonely}: has no partner in {sharp if stem in left else blur}; fetch it again, or remove this one"
        raise UnblurError(msg)
    for stem, path in left.items():
        yield LayoutEntry(
            path.relative_to(root), right[stem].relative_to(root), split, scene, frame_number(path, default=0)
        )


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in pictures(folder):
        if (other := found.setdefault(path.stem, path)) != path:
            msg = f"{other} and {path}: both are called {path.stem!r}, so nothing tells their partners; rename one"
            raise UnblurError(msg)
    return found


def listed_pairs(root: Path, list_file: Path, split: str, scene_folder: str) -> Iterator[LayoutEntry]:
    """Yield the pairs of a list, a line of which is "TRUTH BLURRED", relative to `root`.

    Args:
        root: of the dataset.
        list_file: the list.
        split: of all its pairs.
        scene_folder: pattern of the folder's name that is the scene.

    Raises:
        UnblurError: a line has no two paths, or its path no such folder.
    """
    for number, line in enumerate(list_file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        paths = [Path(part) for part in line.split()[:2]]
        scene = next((part for part in paths[0].parts if re.fullmatch(scene_folder, part)), None)
        if len(paths) < 2 or scene is None:
            msg = f"{list_file}, line {number}: expected TRUTH BLURRED below a folder {scene_folder}, got {line[:80]!r}"
            raise UnblurError(msg)
        yield LayoutEntry(paths[1], paths[0], split, scene)


def folders(path: Path) -> list[Path]:
    """Return the folders in `path` by name; none if it is missing."""
    return sorted(item for item in path.iterdir() if item.is_dir()) if path.is_dir() else []


def pictures(folder: Path) -> list[Path]:
    """Return the pictures in `folder`, in the order of their numbers, then names; none if it is missing."""
    found = [path for path in folder.iterdir() if is_picture(path)] if folder.is_dir() else []
    return sorted(found, key=lambda path: (frame_number(path, default=0), path.name))


def is_picture(path: Path) -> bool:
    """Say whether the name is one of a picture; hidden files, as some systems leave them, are none."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def frame_number(path: Path, default: int) -> int:
    """Return the last number in a file's name."""
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else default


def _refuse_leaks(root: Path, entries: Iterable[LayoutEntry]) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        splits[entry.kept_together].add(entry.split)
    for scene, found in splits.items():
        if len(found) > 1:
            msg = f"{root}: scene {scene} lies in {' and '.join(sorted(found))}; keep it in one of them"
            raise UnblurError(msg)
