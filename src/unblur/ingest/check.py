"""What is wrong with a dataset, found before anything is trained on it."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import CheckConfig
from unblur.data.alignment import find_turn
from unblur.data.images import read_rgb
from unblur.data.listing import SOURCES, Entry, read_entries
from unblur.data.manifest import SPLITS
from unblur.data.near_duplicates import Fingerprint, fingerprint, near_duplicates
from unblur.errors import UnblurError
from unblur.images.header import check_image_header
from unblur.ingest.exposure import clipped_share, contrast
from unblur.ingest.layouts.layout import PICTURES
from unblur.ingest.versioning import files_below
from unblur.safety.atomic import replacing
from unblur.safety.hashing import sha256_file
from unblur.safety.unchanged import sealed

IMPORTED = "imported/"  # manifests of datasets that lie elsewhere, which are checked by themselves
Track = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: an "error" would poison training or its figures, a "warning" is worth knowing.

    `other` is the picture that `file` disagrees with, if it is about two.
    """

    severity: str
    problem: str
    file: str
    detail: str
    other: str = ""


@dataclass(frozen=True)
class DataReport:
    """How many pictures and other files were checked, pictures in each split, and the findings, errors first."""

    pictures: int
    others: int
    splits: dict[str, int]
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """Return the number of findings with this severity."""
        return sum(finding.severity == severity for finding in self.findings)


@dataclass(frozen=True)
class _Picture:
    width: int
    height: int
    pixels: str  # hash of the RGB values
    print: Fingerprint


def check_data(
    data_root: Path,
    min_side: int,
    exclude: Sequence[str] = (),
    track: Track = iter,
    limits: CheckConfig | None = None,
) -> DataReport:
    """Check every file below `data_root`: hashes and splits as SOURCES.json says, pixels, partners in blur/ and sharp/.

    Args:
        data_root: the dataset's folder.
        min_side: least width and height of a picture, in pixels.
        exclude: files, relative to `data_root`, that are not used and therefore not checked.
        track: wraps the pictures' names, to show how far it has come.
        limits: from where on to report; None is the default.

    Raises:
        UnblurError: the folder is missing or empty.
    """
    limits = limits or CheckConfig()
    names = [name for name in files_below(data_root) if name not in exclude and not name.startswith(IMPORTED)]
    if not any(name != SOURCES for name in names):
        msg = f"{data_root} holds no data: build it with `unblur data starter`, or fetch it with `dvc pull`"
        raise UnblurError(msg)
    partners = _partners(names)
    entries, findings = _listed(data_root, names, exclude, has_partners=bool(partners))
    pictures: dict[str, _Picture] = {}
    to_open = [name for name in names if PurePosixPath(name).suffix.lower() in PICTURES]
    for name in track(to_open):
        picture, found = _open(data_root, name, min_side, limits)
        findings += found
        if picture is not None:
            pictures[name] = picture
    findings += _scene_leaks(entries)
    findings += _duplicates(pictures, entries, partners)
    findings += _alike(pictures, entries, limits)
    findings += _mismatched(pictures, to_open, partners, limits)
    findings.sort(key=lambda finding: (finding.severity, finding.file, finding.problem))
    splits = Counter(entries[name].split or "none" for name in to_open if name in entries)
    others = len(names) - len(to_open) - (SOURCES in names)
    return DataReport(len(to_open), others, dict(sorted(splits.items())), findings)


def check_picture(name: str, image: NDArray[np.uint8], limits: CheckConfig, min_side: int) -> list[Finding]:
    """Find what one sharp picture (H, W, 3) lacks: size, contrast, pixels that are not clipped."""
    findings = []
    height, width = image.shape[:2]
    if min(height, width) < min_side:
        findings.append(Finding("error", "too small", name, f"{width} x {height}, at least {min_side} on each side"))
    if (spread := contrast(image)) < limits.min_contrast:
        findings.append(Finding("error", "constant", name, f"standard deviation {spread:.2f} of 255"))
    elif (share := clipped_share(image)) > limits.max_clipped:
        findings.append(Finding("warning", "clipped", name, f"{share:.0%} of the pixels are black or white"))
    return findings


def find_turned(
    name: str,
    prints: tuple[Fingerprint, Fingerprint],
    sizes: tuple[tuple[int, int], tuple[int, int]],
    limits: CheckConfig,
) -> list[Finding]:
    """Find a blurred picture, called `name`, that lies otherwise than its truth; both prints and (width, height)."""
    turn = find_turn(prints[0].grey, prints[1].grey, sizes, limits.turn_gain, limits.min_contrast)
    if turn is None:
        return []
    detail = f"it fits its truth as EXIF orientation {turn} would show it; turn it, or remove the pair"
    return [Finding("error", "turned pair", name, detail)]


def find_duplicates(split_of: Mapping[str, str], prints: Sequence[Fingerprint], limits: CheckConfig) -> list[Finding]:
    """Find pictures of one split that show nearly what one of another split shows; `split_of` in the prints' order."""
    names, splits = list(split_of), list(split_of.values())
    close = near_duplicates(splits, prints, limits.duplicate_bits, limits.duplicate_correlation)
    return [
        Finding(
            "error",
            "near-duplicate in another split",
            names[first],
            f"in {splits[first]}; {names[second]} is in {splits[second]} ({bits} of 64 bits differ)",
            names[second],
        )
        for first, second, bits in close
    ]


def write_report(report: DataReport, path: Path) -> None:
    """Write the report as JSON; the same findings give the same bytes."""
    content = {"errors": report.count("error"), "warnings": report.count("warning"), **asdict(report)}
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(sealed(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _listed(
    data_root: Path, names: Sequence[str], exclude: Sequence[str], *, has_partners: bool
) -> tuple[dict[str, Entry], list[Finding]]:
    """Compare SOURCES.json with what is there. Twins in folders need no such list: their folders say what they are."""
    if SOURCES not in names:
        lack = Finding("error", "no list", SOURCES, "it says which split each photo belongs to")
        return {}, [] if has_partners else [lack]
    try:
        listed = read_entries(data_root / SOURCES)
    except UnblurError as error:
        return {}, [Finding("error", "unreadable", SOURCES, str(error))]
    entries: dict[str, Entry] = {}
    findings: list[Finding] = []
    present = set(names)
    for entry in listed:
        name = entry.file
        if name in exclude:
            continue
        if name in entries:
            findings.append(Finding("error", "listed twice", name, "one entry a file was expected"))
        elif name not in present:
            findings.append(Finding("error", "missing", name, f"on {SOURCES}, but not there"))
        elif (found := sha256_file(data_root / name)) != entry.sha256:
            findings.append(Finding("error", "wrong hash", name, f"SHA-256 {found}, expected {entry.sha256}"))
        if entry.split not in (None, *SPLITS):
            findings.append(Finding("error", "unknown split", name, f"{entry.split}, not one of {', '.join(SPLITS)}"))
        entries.setdefault(name, entry)
    strangers = sorted(present - set(entries) - {SOURCES})
    findings += [Finding("warning", "unknown", name, f"not on {SOURCES}, so never used") for name in strangers]
    return entries, findings


def _open(data_root: Path, name: str, min_side: int, limits: CheckConfig) -> tuple[_Picture | None, list[Finding]]:
    path = data_root / name
    try:
        header = check_image_header(path)
        rgb = read_rgb(path)
    except UnblurError as error:
        return None, [Finding("error", "unreadable", name, str(error))]
    findings = check_picture(name, rgb, limits, min_side)
    height, width = rgb.shape[:2]
    if header.bits != 8:
        findings.append(Finding("warning", "not 8-bit", name, f"{header.bits} bits a channel, read as 8"))
    if np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2]):
        findings.append(Finding("warning", "grey", name, f"mode {header.mode}, without colour"))
    digest = hashlib.sha256(f"{width}x{height}".encode() + rgb.tobytes()).hexdigest()
    return _Picture(width, height, digest, fingerprint(rgb)), findings


def _scene_leaks(entries: Mapping[str, Entry]) -> list[Finding]:
    by_scene: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries.values():
        if entry.split is not None:
            by_scene[entry.scene].append(entry)
    findings = []
    for scene, members in by_scene.items():
        splits = sorted({str(entry.split) for entry in members})
        if len(splits) > 1:
            detail = f"scene {scene} is in {' and '.join(splits)}: {', '.join(entry.file for entry in members)}"
            findings.append(Finding("error", "scene in two splits", members[0].file, detail))
    return findings


def _duplicates(
    pictures: Mapping[str, _Picture], entries: Mapping[str, Entry], partners: Mapping[str, str]
) -> list[Finding]:
    """Find pictures with the same pixels; a blurred picture may equal its own sharp partner (nothing moved)."""
    by_pixels: dict[str, list[str]] = defaultdict(list)
    for name, picture in pictures.items():
        by_pixels[picture.pixels].append(name)
    findings = []
    for first, *others in by_pixels.values():
        splits = sorted(
            {str(entries[name].split) for name in (first, *others) if name in entries and _used(entries[name])}
        )
        if len(splits) > 1:
            detail = f"in {' and '.join(splits)}; the same pixels as {', '.join(others)}"
            findings.append(Finding("error", "same photo in two splits", first, detail))
        elif others and not (len(others) == 1 and partners.get(first) == others[0]):
            findings.append(Finding("warning", "duplicate", first, f"the same pixels as {', '.join(others)}"))
    return findings


def _alike(pictures: Mapping[str, _Picture], entries: Mapping[str, Entry], limits: CheckConfig) -> list[Finding]:
    """Find near-duplicates in two splits; of pictures with the very same pixels one is compared: those are told of."""
    chosen: dict[str, str] = {}
    for name, picture in pictures.items():
        if name in entries and _used(entries[name]):
            chosen.setdefault(picture.pixels, name)
    splits = {name: str(entries[name].split) for name in chosen.values()}
    return find_duplicates(splits, [pictures[name].print for name in splits], limits)


def _used(entry: Entry) -> bool:
    return entry.split is not None


def _partners(names: Sequence[str]) -> dict[str, str]:
    """Map each picture in a blur/ folder that stands beside a sharp/ folder to its partner there, and the other way.

    A picture whose partner is missing maps to "".
    """
    sides: dict[tuple[str, ...], dict[str, dict[str, str]]] = defaultdict(lambda: {"blur": {}, "sharp": {}})
    for name in names:
        path = PurePosixPath(name)
        folders = path.parts[:-1]
        side = next((index for index, part in enumerate(folders) if part in ("blur", "sharp")), None)
        if side is not None and path.suffix.lower() in PICTURES:
            below = PurePosixPath(*path.parts[side + 1 :]).with_suffix("").as_posix()
            sides[folders[:side]][folders[side]][below] = name
    partners: dict[str, str] = {}
    for pair in sides.values():
        if pair["blur"] and pair["sharp"]:
            partners |= {name: pair["sharp"].get(key, "") for key, name in pair["blur"].items()}
            partners |= {name: pair["blur"].get(key, "") for key, name in pair["sharp"].items()}
    return partners


def _mismatched(
    pictures: Mapping[str, _Picture], names: Sequence[str], partners: Mapping[str, str], limits: CheckConfig
) -> list[Finding]:
    findings = []
    for name in names:
        partner = partners.get(name, name)  # of no pair: its own partner, and not above itself
        if partner == "":
            findings.append(
                Finding("error", "no partner", name, "a blur/ and a sharp/ picture of one name were expected")
            )
        elif partner in pictures and name in pictures and name < partner:  # blur/ comes before sharp/
            a, b = pictures[name], pictures[partner]
            sizes = ((a.width, a.height), (b.width, b.height))
            if turned := find_turned(name, (a.print, b.print), sizes, limits):
                findings += [replace(found, other=partner) for found in turned]
            elif sizes[0] != sizes[1]:
                detail = f"{a.width} x {a.height}, but {partner} is {b.width} x {b.height}"
                findings.append(Finding("error", "mismatched pair", name, detail))
    return findings
