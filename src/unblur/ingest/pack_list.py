"""What there is to pack: sharp photographs, or pairs, out of a list or a plain folder."""

from dataclasses import dataclass
from pathlib import Path

from unblur.data.listing import SOURCES
from unblur.data.manifest import PairRow, read_manifest, read_sources
from unblur.data.shard_index import SIDES
from unblur.errors import UnblurError
from unblur.ingest.imported import read_imported
from unblur.ingest.layouts.layout import PICTURES, is_picture
from unblur.ingest.versioning import files_below
from unblur.safety.paths import inside


@dataclass(frozen=True)
class Photo:
    """A photograph to pack: its name in the table, and its files, one for each side."""

    name: str
    files: tuple[Path, ...]


def list_photos(source: Path, split: str) -> tuple[tuple[str, ...], list[Photo]]:
    """Return the sides and the photographs of a manifest.csv, of an imported dataset's NAME.csv, or of a folder.

    A folder is read as the first of these that it holds: manifest.csv (pairs), SOURCES.json (sharp photographs), blur/
    and sharp/ (pairs of one name), pictures (sharp photographs). The lists are read for one `split`; a folder without
    a list is taken whole.

    Raises:
        UnblurError: nothing of that kind is there, or a pair lacks a side.
    """
    if source.is_file() and source.suffix == ".csv" and source.name != "manifest.csv":
        dataset = read_imported(source)
        return _of_rows(dataset.rows, dataset.root, source, split)
    root = source.parent if source.name == "manifest.csv" else source
    if (root / "manifest.csv").is_file():
        return _of_rows(read_manifest(root), root, source, split)
    if (root / SOURCES).is_file():
        listed = [entry.file for entry in read_sources(root) if entry.split == split]
        return _some(SIDES[0], [Photo(file, (inside(root, file),)) for file in listed], source, split)
    if (root / "blur").is_dir() and (root / "sharp").is_dir():
        blur, sharp = (_pictures(root / side) for side in SIDES[1])
        if lonely := sorted(set(blur) ^ set(sharp)):
            msg = f"{source}: {lonely[0]} is in only one of blur/ and sharp/ ({len(lonely)} such); add or remove them"
            raise UnblurError(msg)
        return _some(SIDES[1], [Photo(name, (blur[name], sharp[name])) for name in sorted(blur)], source, None)
    pictures = _pictures(root) if root.is_dir() else {}
    return _some(SIDES[0], [Photo(name, (path,)) for name, path in sorted(pictures.items())], source, None)


def _of_rows(rows: list[PairRow], root: Path, source: Path, split: str) -> tuple[tuple[str, ...], list[Photo]]:
    """Return the pairs of a manifest, or, where it has none, its sharp photographs; videos are left out."""
    rows = [row for row in rows if row.split == split and is_picture(Path(row.sharp))]
    if any(row.blur for row in rows):
        pairs = [Photo(row.blur, (inside(root, row.blur), inside(root, row.sharp))) for row in rows if row.blur]
        return _some(SIDES[1], pairs, source, split)
    return _some(SIDES[0], [Photo(row.sharp, (inside(root, row.sharp),)) for row in rows], source, split)


def _some(
    sides: tuple[str, ...], photos: list[Photo], source: Path, split: str | None
) -> tuple[tuple[str, ...], list[Photo]]:
    if not photos:
        what = f"no photograph of the split {split!r}" if split else "no picture, manifest.csv or SOURCES.json"
        msg = (
            f"{source}: holds {what}; give a data root, an import's NAME.csv, a folder of pictures, "
            "or one with blur/ and sharp/"
        )
        raise UnblurError(msg)
    return sides, photos


def _pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures below a folder by their relative names without ending."""
    names = [name for name in files_below(folder) if Path(name).suffix.lower() in PICTURES]
    found = {Path(name).with_suffix("").as_posix(): folder / name for name in names}
    if len(found) < len(names):
        msg = f"{folder}: two pictures have one name but for their endings; rename one of them"
        raise UnblurError(msg)
    return found
