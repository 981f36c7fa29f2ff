"""The process of an explanation: `python -m unblur.serving.jobs.explainer ASKED`, which the server starts for each.

ASKED is JSON, and so is the file in which it says how far it is, and its notes or what is wrong at the end.
Only what lies around the region is explained: so it takes as long for a large photograph as for a small one.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
from numpy.typing import NDArray
from PIL import Image

from unblur.errors import UnblurError, UsageError, one_line
from unblur.explaining.region import region_at
from unblur.images.photo import read_photo
from unblur.safety.atomic import replacing

if TYPE_CHECKING:
    from unblur.explaining.explanation import Explanation


def main(asked: dict[str, Any]) -> None:
    """Write the page, and say at the end what is to be said of it."""
    said = Path(asked["said"])
    Image.MAX_IMAGE_PIXELS = asked["max_pixels"]  # Pillow's own limit, as in the server
    try:
        explanation = explain(asked, lambda share: say(said, {"share": share}))
    except UnblurError as error:
        line = str(error).replace(f"{said.parent}/", "").replace("--at", "at").replace("--size", "size")
        say(said, {"error": one_line(line)})
        return
    Path(asked["target"]).write_text(explanation.html(), encoding="utf-8")
    say(said, {"notes": explanation.notes})


def explain(asked: dict[str, Any], tell: Callable[[float], None]) -> "Explanation":
    """Return the explanation of what is asked; `tell` gets the share that is done.

    Raises:
        UnblurError: the region does not lie in the photograph, the clip has no frame there, or the model is another by
            now.
    """
    import torch

    from unblur.explaining.photo import Asked, explain_frames
    from unblur.explaining.source import find_calibration
    from unblur.models.loading import load_chosen

    torch.set_num_threads(1)
    pixels = _pixels(Path(asked["source"]), asked["time"], asked["max_pixels"])
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

    found = explain_frames(
        restorer,
        pixels[None],
        "photograph" if asked["time"] is None else f"a clip's frame at {asked['time']:.2f} s",
        Asked(at=(x, y), size=asked["size"], whole=False),
        calibration=find_calibration(None, restorer.sha256),
        track=track,
    )
    if asked["time"] is None:
        return found
    note = "A frame of a clip is explained as a photograph: the model sees each by itself."
    return replace(found, notes=(note, *found.notes))


def _pixels(source: Path, time: float | None, max_pixels: int) -> NDArray[Any]:
    """Return the pixels (H, W, 3) of a photograph, or of the frame that a clip shows at `time`."""
    if time is None:
        return read_photo(source, max_pixels).pixels
    from unblur.images.video import frame_at

    return frame_at(source, time, max_pixels)


def say(said: Path, what: dict[str, Any]) -> None:
    """Say it to the server, which may look at any time."""
    with replacing(said) as unfinished:
        unfinished.write_text(json.dumps(what), encoding="utf-8")


def end_with_parent() -> None:
    """End this process as soon as its stdin ends, of which the server holds the other end: also one that was killed."""
    os.read(0, 1)  # nothing is ever written into it; `sys.stdin` has a lock that Python wants at its end
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    main(json.loads(sys.argv[1]))
