"""Files written among others: a line each in `.unblur.jsonl` beside them, which says what each was made of."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from unblur.safety.atomic import make_folder, sync_folder, sync_stream
from unblur.safety.hashing import sha256_file

LIST = ".unblur.jsonl"
State = Literal["new", "done", "ours", "foreign"]


@dataclass(frozen=True)
class Made:
    """What decides a file's content: SHA-256 of its source and of the model, and the options as plain values."""

    source_sha256: str
    model_sha256: str
    options: Mapping[str, Any] = field(default_factory=dict)


def state(target: Path, made: Made, lines: "list[dict[str, Any]] | None" = None) -> State:
    """Say what stands at `target`: nothing ("new"), what would be written again ("done"), an earlier file of ours.

    "foreign" is what unblur did not write, or what somebody changed since. Where it would be made of the same again, a
    file that was changed since is "done".

    Args:
        target: the file.
        made: what it would be made of.
        lines: of its folder, or of the file in it, if they have been read already (`read_lines`).
    """
    if not target.exists():
        return "new"
    found = [line for line in (read_lines(target.parent) if lines is None else lines) if line["file"] == target.name]
    if not found:
        return "foreign"
    wanted = {line["sha256"] for line in found if line["made"] == _plain(made)}
    digest = sha256_file(target)
    if digest in wanted:
        return "done"
    if found[-1]["sha256"] is None or digest in {line["sha256"] for line in found}:
        return "ours"  # None: killed while it was written
    return "done" if wanted else "foreign"


@contextmanager
def recorded(target: Path, made: Made) -> Iterator[None]:
    """Write down before and after the block that the file `target`, which the block writes, is ours."""
    note_down(target, made, None)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            note_down(target, made, "")
        raise
    note_down(target, made, sha256_file(target))


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return what is known of the files of a folder, the earliest first; a line that a kill cut off is left out."""
    try:
        text = (folder / LIST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    lines = []
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict) and {"file", "sha256", "made"} <= content.keys():
            lines.append(content)
    return lines


def note_down(target: Path, made: Made, sha256: str | None) -> None:
    """Append a line about a file: its SHA-256, None before it is written, "" where that has failed."""
    make_folder(target.parent)
    line = json.dumps({"file": target.name, "sha256": sha256, "made": _plain(made)})
    listed = target.parent / LIST
    is_new = not listed.exists()
    with listed.open("a+b") as stream:
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            line = line if stream.read(1) == b"\n" else "\n" + line  # after one that was cut off
        stream.write(line.encode() + b"\n")
        sync_stream(stream)
    if is_new:
        sync_folder(target.parent)


def _plain(made: Made) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(json.dumps(asdict(made), default=str))
