"""Free photographs to train on: a list in the package, the files from public repositories or a folder.

What a repository holds is checked by its git blob (SHA-1) and reduced, so that it is sharp at pixel level; what a
folder holds has been reduced already and is checked by its SHA-256. A repository is a scene, so that it lies in one
split whole: no series and no two pictures of one place straddle.
"""

import csv
import hashlib
import http.client
import io
import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from unblur.data.listing import SOURCES, Entry, read_entries
from unblur.errors import UnblurError
from unblur.images.header import DAMAGED
from unblur.ingest.versioning import files_below
from unblur.safety.atomic import UNFINISHED, replacing
from unblur.safety.hashing import sha256_file
from unblur.safety.paths import inside

SERVER = "https://raw.githubusercontent.com"
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")  # of the originals
MAX_BYTES = 100 << 20
QUALITY = 90
Track = Callable[[Sequence[Any]], Iterable[Any]]
Vouched = dict[str, str]


@dataclass(frozen=True)
class FreePhoto:
    """A photograph: where it goes, what it must be, who made it, and where its original lies.

    `file` is relative to the data root, `sha256` that of the reduced picture of `width` x `height` pixels. The original
    is `path` in `commit` of the GitHub repository `repository` ("owner/name"), with the git object `blob`; `stated_in`
    is the place there that states the licence.
    """

    file: str
    split: str
    width: int
    height: int
    sha256: str
    category: str
    licence: str
    author: str
    repository: str
    commit: str
    path: str
    blob: str
    stated_in: str

    @property
    def place(self) -> str:
        """The original's path on a server that holds repositories as SERVER does."""
        return urllib.parse.quote(f"{self.repository}/{self.commit}/{self.path}")


def read_free_list(path: Path | None = None) -> list[FreePhoto]:
    """Return the list that ships with the package, or another one with the same columns.

    Raises:
        UnblurError: it cannot be read, or lacks a column.
    """
    source = path or resources.files("unblur.ingest").joinpath("free.csv")
    try:
        lines = list(csv.DictReader(io.StringIO(source.read_text(encoding="utf-8"), newline="")))
        return [_photo(line) for line in lines]
    except (OSError, ValueError, TypeError, KeyError) as error:
        expected = ", ".join(field.name for field in fields(FreePhoto))
        msg = f"{path or 'free.csv'}: not a list of photographs ({error}); expected the columns {expected}"
        raise UnblurError(msg) from error


def build_free(
    photos: Sequence[FreePhoto],
    data_root: Path,
    cache: Path,
    *,
    folder: Path | None = None,
    server: str = SERVER,
    track: Track = iter,
) -> list[str]:
    """Bring what is missing, and write SOURCES.json once everything is there.

    What is there with the right hash is kept, so an interrupted build goes on where it stopped. One file's failure
    does not stop the others.

    Args:
        photos: from `read_free_list`.
        data_root: gets photos/NAME.jpg and SOURCES.json.
        cache: a folder that remembers the hashes of pictures reduced here until everything has succeeded.
        folder: has the reduced pictures by their names; None fetches the originals and reduces them.
        server: where the originals are, as OWNER/NAME/COMMIT/PATH.
        track: wraps the list of photographs to bring, for a progress bar.

    Returns:
        What failed, one line each; empty when the dataset is complete.

    Raises:
        UnblurError: `data_root` holds other files, `folder` is none, or `server` is no http address; nothing has been
            touched then.
    """
    if folder is not None and not folder.is_dir():
        msg = f"{folder}: there is no such folder; give the one that holds the photographs"
        raise UnblurError(msg)
    if not server.startswith(("http://", "https://")):
        msg = f"{server}: not a server's address; expected one that begins with https://"
        raise UnblurError(msg)
    _refuse_strangers(photos, data_root)
    for leftover in data_root.rglob(f".*{UNFINISHED}"):
        leftover.unlink(missing_ok=True)
    journal = cache / "free.json"
    vouched = _vouched(data_root / SOURCES, journal)
    failures = []
    for photo in track([photo for photo in photos if not _is_there(photo, data_root, vouched)]):
        try:
            target = inside(data_root, photo.file)
            if folder is not None:
                _take(photo, folder / target.name, target)
                continue
            original = fetch_original(photo, server)
            with replacing(target) as unfinished:
                unfinished.write_bytes(reduced(photo, original))
            vouched[photo.file] = sha256_file(target)
            with replacing(journal) as unfinished:
                unfinished.write_text(json.dumps(vouched), encoding="utf-8")
        except UnblurError as error:
            failures.append(f"{photo.file}: {error}")
        except OSError as error:
            failures.append(f"{photo.file}: cannot be written to {data_root} ({error.strerror or error})")
    if not failures:
        content = _sources_json(photos, data_root)
        if not (data_root / SOURCES).is_file() or (data_root / SOURCES).read_bytes() != content:
            with replacing(data_root / SOURCES) as unfinished:
                unfinished.write_bytes(content)
        journal.unlink(missing_ok=True)
    return failures


def fetch_original(photo: FreePhoto, server: str = SERVER) -> bytes:
    """Return the original's bytes, whose git blob is the listed one.

    Raises:
        UnblurError: the server cannot be reached, has no such file, or sends another.
    """
    address = f"{server.rstrip('/')}/{photo.place}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 (http and https alone, see build_free)
            content: bytes = answer.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        msg = f"{address}: the server answered {error.code} {error.reason}"
        raise UnblurError(msg) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        msg = f"{address}: cannot be fetched ({reason}); check the network and the proxy, or give --from FOLDER"
        raise UnblurError(msg) from error
    found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if found != photo.blob:
        msg = f"{address}: is git blob {found}, expected {photo.blob}; nothing was written"
        raise UnblurError(msg)
    return content


def reduced(photo: FreePhoto, original: bytes) -> bytes:
    """Return the original upright, at the listed size, as a JPEG of quality 90 without chroma subsampling or EXIF.

    Decoders and encoders differ in their last bits, so the SHA-256 may be another than the listed one.

    Raises:
        UnblurError: the original cannot be decoded, or has other proportions than the list says.
    """
    size = (photo.width, photo.height)
    try:
        with Image.open(io.BytesIO(original), formats=FORMATS) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except DAMAGED as error:
        msg = f"the original cannot be decoded ({error})"
        raise UnblurError(msg) from error
    if abs(upright.width / upright.height / (size[0] / size[1]) - 1) > 0.01:
        msg = f"the original has {upright.width} x {upright.height} pixels, which do not become {size[0]} x {size[1]}"
        raise UnblurError(msg)
    if upright.size != size:
        upright = upright.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    upright.save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return stream.getvalue()


def _photo(line: dict[str, Any]) -> FreePhoto:
    return FreePhoto(**{**line, "width": int(line["width"]), "height": int(line["height"])})


def _take(photo: FreePhoto, source: Path, target: Path) -> None:
    if not source.is_file():
        msg = f"{source} is not there"
        raise UnblurError(msg)
    found = sha256_file(source)
    if found != photo.sha256:
        msg = f"{source} has SHA-256 {found}, expected {photo.sha256}; nothing was written"
        raise UnblurError(msg)
    with replacing(target) as unfinished:
        shutil.copyfile(source, unfinished)


def _is_there(photo: FreePhoto, data_root: Path, vouched: Vouched) -> bool:
    path = data_root / photo.file
    return path.is_file() and sha256_file(path) in (photo.sha256, vouched.get(photo.file))


def _vouched(sources: Path, journal: Path) -> Vouched:
    """Return the SHA-256 of pictures that were reduced on this machine, of a finished build or an interrupted one."""
    found: Vouched = {}
    try:
        found |= {entry.file: entry.sha256 for entry in read_entries(sources)} if sources.is_file() else {}
        found |= json.loads(journal.read_text(encoding="utf-8")) if journal.is_file() else {}
    except (UnblurError, OSError, ValueError, TypeError):
        return {}  # damaged: those pictures are made again
    return found


def _sources_json(photos: Sequence[FreePhoto], data_root: Path) -> bytes:
    entries = [
        Entry(
            file=photo.file,
            sha256=sha256_file(data_root / photo.file),
            licence=photo.licence,
            scene=photo.repository,
            split=photo.split,
            author=photo.author or f"not named; see {photo.stated_in}",
            address=f"https://github.com/{photo.repository}/blob/{photo.commit}/{urllib.parse.quote(photo.path)}",
        )
        for photo in photos
    ]
    return (json.dumps([vars(entry) for entry in entries], indent=1, ensure_ascii=False) + "\n").encode()


def _refuse_strangers(photos: Sequence[FreePhoto], data_root: Path) -> None:
    known = {SOURCES, *(photo.file for photo in photos)}
    strangers = [name for name in files_below(data_root) if name not in known]
    if strangers:
        shown = ", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else "")
        msg = f"{data_root} holds {len(strangers)} files that are not on the list ({shown}): choose another --out"
        raise UnblurError(msg)
