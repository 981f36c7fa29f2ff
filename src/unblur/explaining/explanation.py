"""An explanation as a whole: sentences, pictures, figures; and its folder with one HTML page, PNG, CSV and JSON."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from unblur.explaining.activations import Tuning
from unblur.explaining.methods import METHODS
from unblur.records.explanation import Fidelity
from unblur.records.files import write_table

PAGE, FIDELITY, TUNING, FIGURES = "index.html", "fidelity.csv", "tuning.csv", "explanation.json"
GROUPS = {
    "photo": "Before and after",
    "blur": "Where it is blurred",
    "maps": "What the model leans on",
    "doubt": "What may be wrong",
    "features": "What the network holds",
}


@dataclass(frozen=True)
class Picture:
    """A picture of the page: its name (that of the PNG file), title, what it shows, and of a map what it failed."""

    name: str
    group: str
    title: str
    about: str
    png: bytes
    failed: str = ""


@dataclass(frozen=True)
class Explanation:
    """What is known of a model's answer to one photograph, burst or clip.

    `sentences` are in plain words, `about` names the photograph, the model and the place, `figures` have their unit in
    their names, `maps` are arrays (K, h, w) of the window by their names in `METHODS`.
    """

    about: Mapping[str, Any]
    sentences: tuple[str, ...]
    figures: Mapping[str, float]
    fidelity: tuple[Fidelity, ...]
    pictures: tuple[Picture, ...]
    tunings: tuple[Tuning, ...] = ()
    notes: tuple[str, ...] = ()
    maps: Mapping[str, Any] = field(default_factory=dict)

    def html(self) -> str:
        """Return the page as one document: no script, and nothing that is fetched."""
        template = files("unblur.explaining").joinpath("page.html.j2").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        shown = {
            group: [{**_cells(picture)} for picture in self.pictures if picture.group == group] for group in GROUPS
        }
        return environment.from_string(template).render(
            about=self.about,
            sentences=self.sentences,
            groups=[(GROUPS[group], pictures) for group, pictures in shown.items() if pictures],
            fidelity=[_row(row) for row in self.fidelity],
            figures=[(name.replace("_", " "), f"{value:.4g}") for name, value in self.figures.items()],
            tunings=self.tunings,
            notes=self.notes,
        )

    def write(self, folder: str | Path) -> None:
        """Write the page, the pictures and the figures into a folder, which is made if it is not there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PAGE).write_text(self.html(), encoding="utf-8")
        for picture in self.pictures:
            (folder / f"{picture.name}.png").write_bytes(picture.png)
        write_table(folder / FIDELITY, Fidelity, self.fidelity)
        if self.tunings:
            rows: Sequence[Tuning] = self.tunings
            write_table(folder / TUNING, Tuning, rows)
        content = {
            **self.about,
            "sentences": self.sentences,
            "figures": dict(self.figures),
            "fidelity": [asdict(row) for row in self.fidelity],
            "notes": self.notes,
        }
        (folder / FIGURES).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _cells(picture: Picture) -> dict[str, str]:
    data = "data:image/png;base64," + base64.b64encode(picture.png).decode()
    return {"title": picture.title, "about": picture.about, "failed": picture.failed, "data": data}


def _row(row: Fidelity) -> dict[str, str]:
    """Return the cells of the table."""

    def interval(middle: float, low: float, high: float) -> str:
        return f"{middle:+.3f} ({low:+.3f} to {high:+.3f})"

    return {
        "title": METHODS[row.map].title if row.map in METHODS else row.map,
        "deletion": interval(row.deletion, row.deletion_low, row.deletion_high),
        "insertion": interval(row.insertion, row.insertion_low, row.insertion_high),
        "completeness": "-" if row.completeness_error is None else f"{100 * row.completeness_error:.1f} %",
        "rank": f"{row.rank_correlation:.2f}",
        "stability": f"{row.stability:.2f}",
        "unchanged": "-" if row.unchanged is None else f"{row.unchanged:.2f}",
        "failed": row.failed,
    }
