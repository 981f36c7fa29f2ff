"""The process of an explanation: `python -m unblur.serving.jobs.explainer ASKED`, which the server starts for each.

ASKED is JSON, and so is the file in which it says how far it is, and its notes or what is wrong at the end.
Only what lies around the region is explained: so it takes as long for a large photograph as for a small one.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

from unblur.errors import UnblurError, UsageError, one_line
from unblur.explaining.explanation import Explanation
from unblur.explaining.photo import Asked, explain_frames
from unblur.explaining.region import region_at
from unblur.explaining.source import find_calibration
from unblur.images.photo import read_photo
from unblur.models.loading import load_chosen


def main(asked: dict[str, Any]) -> None:
    """Write the page, and say at the end what is to be said of it."""
    said = Path(asked["said"])
    try:
        explanation = explain(asked, lambda share: say(said, {"share": share}))
    except UnblurError as error:
        line = str(error).replace(f"{said.parent}/", "").replace("--at", "at").replace("--size", "size")
        say(said, {"error": one_line(line)})
        return
    Path(asked["target"]).write_text(explanation.html(), encoding="utf-8")
    say(said, {"notes": explanation.notes})


def explain(asked: dict[str, Any], tell: Callable[[float], None]) -> Explanation:
    """Return the explanation of what is asked; `tell` gets the share that is done.

    Raises:
        UnblurError: the region does not lie in the photograph, or the model is another by now.
    """
    pixels = read_photo(Path(asked["source"]), asked["max_pixels"]).pixels
    x, y = asked["at"]
    region_at(x, y, asked["size"], *pixels.shape[:2])  # before the model is loaded
    restorer = load_chosen(asked["model"], 1, precision="f32")
    if restorer.sha256 != asked["sha256"]:
        msg = f"{restorer.name}: has changed since the server loaded it; start the server again"
        raise UsageError(msg)

    def track(steps: Sequence[Any]) -> Iterator[Any]:
        for done, step in enumerate(steps):
            tell(done / len(steps))
            yield step

    return explain_frames(
        restorer,
        pixels[None],
        "photograph",
        Asked(at=(x, y), size=asked["size"], whole=False),
        calibration=find_calibration(None, restorer.sha256),
        track=track,
    )


def say(said: Path, what: dict[str, Any]) -> None:
    """Say it to the server, which may look at any time."""
    unfinished = said.with_name("saying")
    unfinished.write_text(json.dumps(what), encoding="utf-8")
    unfinished.replace(said)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main(json.loads(sys.argv[1]))
