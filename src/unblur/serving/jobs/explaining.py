"""Jobs that explain a region of an answer, as `unblur explain` does, in a process that runs when no other wants to."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unblur.config.extras import install, is_installed
from unblur.errors import UnblurError, UsageError
from unblur.explaining.region import SMALLEST, WINDOW
from unblur.serving.challenger.process import ONE_THREAD, lower_priority
from unblur.serving.served import Loaded
from unblur.serving.settings import Settings

WORKER = "unblur.serving.jobs.explainer"
NEEDS = ("torch", "captum", "skimage", "matplotlib", "jinja2")
LONGEST = 1e6  # seconds of a clip, beyond which there is none
LOOK_SECONDS = 0.2  # between two looks whether anybody waits still


@dataclass(frozen=True)
class Place:
    """The middle of the region as column and row of the upright photograph, and its side, in pixels.

    `time` is the moment of a clip in seconds, None where none was named: the beginning.
    """

    x: int
    y: int
    size: int
    time: float | None = None


def place_of(at: str, size: int, time: float | None = None) -> Place:
    """Return the place that a request names.

    Raises:
        UsageError: no place, no moment, or a region that is too small or too large.
    """
    parts = at.split(",")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 7 for part in parts):
        msg = f"at {at[:20]!r}: expected X,Y in pixels of the upright photograph, such as 320,200"
        raise UsageError(msg)
    if not SMALLEST <= size <= WINDOW:
        msg = f"size {size}: expected {SMALLEST} to {WINDOW} pixels"
        raise UsageError(msg)
    if time is not None and not 0 <= time < LONGEST:  # false for NaN as well
        msg = f"time {time:g}: expected seconds from the beginning of a clip, 0 or more"
        raise UsageError(msg)
    return Place(int(parts[0]), int(parts[1]), size, time)


def why_not(now: Loaded, settings: Settings) -> str:
    """Say in a line why the answers of this model are not explained, "" where they are."""
    if not settings.jobs:
        return "this server explains nothing: it takes no jobs"
    if not settings.explanations:
        return "this server explains nothing (--no-explain)"
    if wanted := to_install():
        return f"this server explains nothing: it needs more packages, {wanted}"
    if not now.again:
        return "this server explains nothing: its model cannot be loaded once more"
    return ""


def to_install() -> str:
    """Return the command that installs what explanations need, "" where all is here."""
    return next((install(name) for name in NEEDS if not is_installed(name)), "")


def explain(
    place: Place,
    now: Loaded,
    files: tuple[Path, Path],
    settings: Settings,
    step: Callable[[float], None],
) -> tuple[str, ...]:
    """Write the page of an explanation, and return its notes.

    Args:
        place: what is explained.
        now: the model, which the process loads once more.
        files: the photograph or clip, and the page to write.
        settings: the limits.
        step: is called with the share that is done every now and then; what it raises ends the process.

    Raises:
        UnblurError: it cannot be explained; in the words of the process.
    """
    source, target = files
    said = target.with_name("said")
    asked = {
        "model": now.again,
        "sha256": now.model.sha256,
        "source": str(source),
        "target": str(target),
        "said": str(said),
        "at": [place.x, place.y],
        "size": place.size,
        "time": place.time,
        "max_pixels": settings.max_pixels,
    }
    # A process group of its own, as Ctrl-C is the server's to handle. Nothing is written into its stdin: that ends with
    # the server, however it does, and the process with it.
    command = [sys.executable, "-m", WORKER, json.dumps(asked)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0, env=os.environ | ONE_THREAD) as process:
        try:
            lower_priority(process.pid)
            until = time.monotonic() + settings.explain_seconds
            while process.poll() is None:
                if time.monotonic() > until:
                    msg = f"not explained within {settings.explain_seconds:g} s; try again when the server is less busy"
                    raise UnblurError(msg)
                step(float(_read(said).get("share", 0.0)))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
            told = _read(said)
        finally:
            process.kill()
            process.wait()
            said.unlink(missing_ok=True)
    if "error" in told:
        raise UnblurError(told["error"])
    if "notes" not in told:
        msg = f"the process of the explanation has ended with exit code {process.returncode}; it is not explained"
        raise UnblurError(msg)
    return tuple(told["notes"])


def _read(said: Path) -> dict[str, Any]:
    """Return what the process has said last."""
    try:
        told: dict[str, Any] = json.loads(said.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return told
