"""What each stage of the pipeline has read, by SHA-256, and whether that is what lies there now.

A stage writes `lineage.json` beside what it makes. Before a stage reads, the records of all stages before it are
compared with the files that they name, so that no result joins two trainings. The records hold hashes alone: the same
inputs give the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from unblur.config.schema import PathsConfig
from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.hashing import LISTING, sha256_file
from unblur.safety.unchanged import require_records

FILE = "lineage.json"
SOURCES = "data/SOURCES.json"
PAIRS = "prepared/manifest.csv"
TRAINED, PRUNED = "train/model/model.safetensors", "prune/model/model.safetensors"
READS = {
    "prepare": (SOURCES,),
    "train": (SOURCES, PAIRS),
    "evaluate": (TRAINED, PAIRS),
    "prune": (TRAINED, PAIRS),
    "quantize": (TRAINED, PRUNED, PAIRS),
    "export": (TRAINED, PRUNED, "quantize/*/model.onnx", PAIRS),
    "benchmark": (TRAINED, PRUNED, f"export/*/{LISTING}", PAIRS),
    "explain": (TRAINED, "evaluate/answers/*.png", PAIRS),
    "report": (
        TRAINED,
        "evaluate/metrics.json",
        "export/parity.csv",
        "benchmark/latency.csv",
        "explain/summary.json",
    ),
    "register": (TRAINED, "evaluate/metrics.json", f"export/*/{LISTING}", "benchmark/chosen.json"),
}
"""Stage -> the files that it reads of other stages, and the list of photographs, which holds the SHA-256 of each: the
key of their folder in `paths`, then where they lie in it."""
IMPORTED = "data.manifest"
"""What the manifest of an imported dataset is called in a record; it holds the SHA-256 of each picture too."""
COMMANDS = {"explain": "explain-pairs"}
"""Stage -> its command, where that is called otherwise."""


def write_lineage(
    paths: PathsConfig, stage: str, folder: Path, reads: Sequence[str] | None = None, manifest: str | None = None
) -> None:
    """Write down in `folder` what the stage reads, as it is now.

    Args:
        paths: where the stages have written.
        stage: that reads.
        folder: of its results.
        reads: its files if `READS` does not have it.
        manifest: of the imported dataset that it reads, None of photographs.
    """
    files = _read_by(paths, Path(), READS[stage] if reads is None else reads, manifest)
    content = {"stage": stage, "read": {name: sha256_file(file) for name, file in files.items()}}
    with replacing(folder / FILE) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def require_descent(
    paths: PathsConfig,
    stage: str,
    reads: Sequence[str] | None = None,
    root: Path | None = None,
    manifest: str | None = None,
) -> None:
    """Do nothing if all that the stages before this one have made is made of what lies there now.

    What has no record passes: weights that were imported, and what an earlier version wrote. A trained model may be
    taken to other pairs than it was trained with, and pairs stay what they are when photographs are added; only a
    training reads both, and its pairs have to be of its own photographs.

    Args:
        paths: where the stages have written.
        stage: that will read.
        reads: its files if `READS` does not have it.
        root: what `paths` are relative to; None is the working folder.
        manifest: of the imported dataset that is trained on, None of photographs.

    Raises:
        UnblurError: something was made of another file; both are named, and the stage to run again. Or a record of a
            stage before was changed since it was written.
    """
    base = root or Path()
    for before in _before(stage, READS[stage] if reads is None else reads):
        if before not in ("prepare", "train") and Path(getattr(paths, before)) == Path(paths.train):
            continue  # a pruned network that is taken for the trained one: a beginning, whatever it came from
        require_records(base / _folder(paths, before))
        place = base / _folder(paths, before) / FILE
        recorded = _recorded(place)
        if recorded is None:
            continue
        there = _read_by(paths, base, READS[before], manifest)
        for name in sorted(recorded.keys() | there.keys()):
            if before == "train" or not _has_place(paths, base, name):
                continue
            file = there.get(name) or _file(paths, base, name)
            was, now = recorded.get(name), sha256_file(file) if file.is_file() else None
            if was != now:
                msg = (
                    f"{place} was made of {_told(was)}, but {file} is {_told(now)}: they do not belong together. Run "
                    f"`unblur {COMMANDS.get(before, before)}` again, or bring everything up to date: `dvc repro`."
                )
                raise UnblurError(msg)


def _before(stage: str, reads: Sequence[str]) -> list[str]:
    """Return the stages whose results these files are, at once or through others, the earliest first."""
    if stage == "train":
        return ["prepare"]
    direct = {name.partition("/")[0] for name in reads} & READS.keys()
    found = {earlier for each in direct for earlier in (*_before(each, READS[each]), each)} - {"prepare"}
    return [name for name in READS if name in found]


def _folder(paths: PathsConfig, stage: str) -> Path:
    """Return where a stage's record lies."""
    return Path(getattr(paths, "prepared" if stage == "prepare" else stage)) / ("model" if stage == "train" else "")


def _read_by(paths: PathsConfig, base: Path, reads: Sequence[str], manifest: str | None) -> dict[str, Path]:
    """Return what is there of the files that a stage reads, by their names in `READS`."""
    found = dict(_read_of_folders(paths, base, reads))
    if manifest and SOURCES in reads:
        found.pop(SOURCES, None)
        found[IMPORTED] = base / manifest
    return found


def _read_of_folders(paths: PathsConfig, base: Path, reads: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for pattern in reads:
        key, _, inner = pattern.partition("/")
        folder = base / getattr(paths, key)
        for file in sorted(folder.glob(inner)):
            yield f"{key}/{file.relative_to(folder).as_posix()}", file


def _has_place(paths: PathsConfig, base: Path, name: str) -> bool:
    """Tell whether the folder of a recorded file is here; one that was not pulled has nothing to compare with."""
    return name == IMPORTED or (base / str(getattr(paths, name.partition("/")[0]))).is_dir()


def _file(paths: PathsConfig, base: Path, name: str) -> Path:
    """Return where a recorded file would lie."""
    if name == IMPORTED:
        return base / "an imported dataset's manifest"
    key, _, inner = name.partition("/")
    return base / str(getattr(paths, key)) / inner


def _recorded(place: Path) -> dict[str, str] | None:
    """Return name -> SHA-256 of a record, None where there is none.

    Raises:
        UnblurError: it cannot be read.
    """
    if not place.is_file():
        return None
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        return {str(name): str(sha256) for name, sha256 in content["read"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{place}: is no record of what a stage has read ({error}); run that stage again"
        raise UnblurError(msg) from error


def _told(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "not there"
