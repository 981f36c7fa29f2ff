"""What the report of a retraining shows: figures with intervals, pictures before and after, minutes, the request."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unblur.config.schema import PipelineConfig
from unblur.safety.atomic import replacing

if TYPE_CHECKING:
    from unblur.records.gate import GateRecord

MARKER = "<!-- unblur retrain -->"
"""The first line of a report: who posts it finds the last one by it, and replaces that."""

RUNS = re.compile(r"(?:Running stage|Stage) '([\w@-]+)'(:| is cached)")
PICTURES = 3


class StageClock:
    """How long each stage of a `dvc repro` has taken, told from what it prints, and the error of one that failed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.minutes: dict[str, float] = {}
        self.error = ""
        self._clock = clock
        self._stage, self._since = "", clock()

    def hear(self, line: str) -> None:
        """Take the next line, as soon as it comes."""
        if found := RUNS.search(line):
            self.stop()
            self._stage, self._since = found[1], self._clock()
            self.error = ""
        elif line.startswith("error: "):
            self.error = line.removeprefix("error: ").strip()

    def stop(self) -> None:
        """Say that the stage that runs has ended."""
        if self._stage:
            self.minutes[self._stage] = (self._clock() - self._since) / 60
        self._stage = ""

    def failure(self, otherwise: str) -> str:
        """Name the stage that has failed, with what it has told, or `otherwise` where that is nothing."""
        return f"the stage {self._stage or 'compose'} has failed: {self.error or otherwise}"


def cost(minutes: Mapping[str, float]) -> str:
    """Return the minutes of each stage as Markdown; stages that DVC skipped are left out."""
    if not minutes:
        return ""
    lines = ["### Cost", "", "| stage | minutes |", "|---|---:|"]
    lines += [f"| {name} | {spent:.1f} |" for name, spent in minutes.items()]
    return "\n".join([*lines, f"| all | {sum(minutes.values()):.1f} |"])


def figures(record: "GateRecord", unit: str) -> str:
    """Return every stratum of a verdict as Markdown, in `unit`, with the 95 % intervals that the gate judged by."""
    champion = record.subject.champion
    against = f"v{champion}" if champion else "the model in its place"
    columns = ("pairs", "number", "blurred", "restored", "gain [interval]", f"against {against} [interval]")
    lines = [f"### Figures in {unit or record.subject.rules.get('profile', 'the unit of the profile')}", ""]
    lines += [f"| {' | '.join(columns)} |", "|---|---:|---:|---:|---:|---:|"]
    for row in record.strata:
        differences = (
            "-" if each is None else f"{each[0]:+.3f} [{each[1]:+.3f}, {each[2]:+.3f}]"
            for each in (row.gain, row.against)
        )
        cells = (row.name, str(row.pairs), f"{row.blurred:.2f}", f"{row.candidate:.2f}", *differences)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def request(version: str, champion: str) -> str:
    """Return what a person has to do for `version` to become the champion in place of `champion`, as Markdown."""
    return (
        f"### Promotion\n\n{version} waits for a person: approve the job of the environment `production`, or run "
        f"`unblur promote --expect-champion {champion}`."
    )


def draw_pictures(cfg: PipelineConfig, root: Path, record: "GateRecord", folder: Path, count: int = PICTURES) -> str:
    """Draw champion, candidate and truth side by side into `folder`, and return Markdown that shows them.

    Where there is no champion, the blurred input stands in its place. Pairs are taken at equal steps through the list
    of test pairs, so that nobody picks; of a video the frame in the middle is shown.
    """
    from unblur.data.images import write_png
    from unblur.data.manifest import read_manifest
    from unblur.evaluation.fixed_pairs import read_pair, restore_checked
    from unblur.evaluation.panels import draw_panel
    from unblur.evaluation.strata import describe_blur
    from unblur.runtimes.restorer import load_restorer

    subject, prepared = record.subject, root / cfg.paths.prepared
    rows = [row for row in read_manifest(prepared) if row.split == "test"]
    steps = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    restorers = {
        f"v{number}": load_restorer(f"models:/{subject.model}/{number}", cfg.benchmark.threads)
        for number in (subject.champion, subject.candidate)
        if number
    }
    before = [] if subject.champion else ["blurred"]
    captions = [*before, *restorers, "truth"]
    lines = [f"### {', '.join(captions)}", ""]
    for row in (rows[step] for step in steps):
        blurred, sharp = read_pair(row, prepared)
        restored = [restore_checked(name, each, row.pair, blurred, sharp.shape) for name, each in restorers.items()]
        images = [*(blurred for _ in before), *restored, sharp]
        name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', row.pair)}.png"
        title = f"{row.pair}   {describe_blur(row.kind, row.strength)}"
        write_png(folder / name, draw_panel(title, captions, [_to_pixels(image) for image in images]))
        lines.append(f"![{row.pair}]({folder.name}/{name})")
    return "\n".join(lines)


def write_report(path: Path, text: str) -> None:
    """Write a report, with the marker as its first line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(f"{MARKER}\n{text}", encoding="utf-8")


def is_report(path: Path) -> bool:
    """Say whether a file is a report of a retraining."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith(MARKER)
    except OSError:
        return False


def _to_pixels(batch: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn (1, 3, H, W) or (1, T, 3, H, W) float32 in [0, 1] into (H, W, 3) uint8: of several frames the middle one."""
    image = batch[0, batch.shape[1] // 2] if batch.ndim == 5 else batch[0]
    pixels: NDArray[np.uint8] = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
    return pixels
