"""What is explained, read: a photograph, the shots of a burst, the frames of a clip around one; and a calibration."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError, UsageError
from unblur.explaining.conformal import Calibration
from unblur.images.channels import as_floats
from unblur.images.in_memory import take
from unblur.images.photo import read_photo
from unblur.records.files import read_json

if TYPE_CHECKING:
    from unblur.runtimes.restorer import Restorer

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts")
BEFORE, AFTER = 4, 2  # frames of a clip around the one that is explained
CALIBRATION = "artifacts/explain/calibration.json"


@dataclass(frozen=True)
class Source:
    """Frames (K, H, W, 3) as they were read, of 8 or 16 bits or floats in [0, 1], and which of them is explained.

    `numbers` are those of the frames in the folder or video that they come from.
    """

    frames: NDArray[Any]
    reference: int = 0
    numbers: tuple[int, ...] = (0,)


def read_source(path: Path, restorer: "Restorer", frame: int | None = None) -> Source:
    """Read what a model of this task takes.

    Args:
        path: a photograph; a folder of shots, or of the frames of a clip by name; a video, of which a model for
            photographs gets one frame.
        restorer: that is explained.
        frame: of several the one that is explained; None takes the first shot of a burst, the middle of a clip.

    Raises:
        UnblurError: it is of another kind than the model takes, or cannot be read.
        UsageError: there is no such frame, or a photograph has none.
    """
    if frame is not None and frame < 0:
        msg = f"--frame {frame}: expected 0 or more"
        raise UsageError(msg)
    video = path.suffix.lower() in VIDEOS
    kind = "a burst or clip" if path.is_dir() else "a video" if video else "a single photograph"
    if not path.exists():
        msg = f"{path}: there is no such file or folder"
        raise UnblurError(msg)
    fits = {"image": not path.is_dir(), "burst": path.is_dir(), "video": path.is_dir() or video}
    if not fits[restorer.task]:
        wanted = {
            "image": "a photograph or a video",
            "burst": "a folder of shots",
            "video": "a video or a folder of its frames",
        }
        msg = f"{path}: is {kind}, and {restorer.name} restores {restorer.task}s; give {wanted[restorer.task]}"
        raise UnblurError(msg)
    if restorer.task == "image" and not video:
        if frame is not None:
            msg = f"--frame {frame}: {path} is a single photograph; leave --frame out"
            raise UsageError(msg)
        return Source(read_photo(path).pixels[None])
    if video:
        clip = _clip(path, frame)
        # A model for photographs knows of no other frame.
        return clip if restorer.task == "video" else Source(clip.frames[[clip.reference]])
    from unblur.restoring.burst import read_burst

    burst = read_burst(path)
    if burst.faults:  # with a shot left out, those beside it are no neighbours, and numbers mean others
        raise UnblurError(burst.faults[0])
    shots = np.stack([as_floats(shot) for shot in burst.shots])
    if restorer.task == "burst":
        chosen = _checked(frame or 0, len(shots), path)
        order = [chosen, *(i for i in range(len(shots)) if i != chosen)]
        return Source(shots[order], 0, tuple(order))
    chosen = _checked(len(shots) // 2 if frame is None else frame, len(shots), path)
    first = max(chosen - BEFORE, 0)
    numbers = range(len(shots))[first : chosen + AFTER + 1]
    return Source(shots[first : chosen + AFTER + 1], chosen - first, tuple(numbers))


def with_gradients(model: str | None) -> str | None:
    """Return the folder with the trained weights of a model that comes with unblur, and what else is given as it is.

    A file for restoring has no gradients, and so not all maps. The wheel has no such folders.
    """
    from unblur.training.weights import PARENTS

    return str(PARENTS / model) if model and model.isidentifier() and (PARENTS / model).is_dir() else model


def take_source(photo: object, restorer: "Restorer") -> tuple[Source, str]:
    """Take a path, as `read_source` does, or a photograph that a program holds (see `take`); return its name too.

    Raises:
        UnblurError: it is of another kind than the model takes, or cannot be read.
    """
    if isinstance(photo, str | os.PathLike):
        return read_source(Path(photo), restorer), Path(photo).name
    if restorer.task != "image":
        msg = f"{restorer.name}: restores {restorer.task}s, not single photographs; give a path"
        raise UnblurError(msg)
    return Source(take(photo).pixels[None]), "photograph"


def find_calibration(path: Path | None, model_sha256: str) -> Calibration | None:
    """Return the calibration of a model: the given one, or the pipeline's where it is of this model, else None.

    Raises:
        UnblurError: the given one cannot be read, or is of another model.
    """
    if path is not None:
        return read_calibration(path, model_sha256)
    default = Path(CALIBRATION)
    if not default.is_file():
        return None
    try:
        found = read_json(default, Calibration, "explain-pairs")
    except UnblurError:  # nobody asked for it: of an earlier version it is as good as none
        return None
    return found if found.model_sha256 == model_sha256 else None


def read_calibration(path: Path, model_sha256: str) -> Calibration:
    """Return the calibration that `unblur explain-pairs` has written.

    Raises:
        UnblurError: it cannot be read, or is of another model.
    """
    found = read_json(path, Calibration, "explain-pairs")
    if found.model_sha256 != model_sha256:
        msg = (
            f"{path}: is the calibration of the model {found.model_sha256[:12]}, not of {model_sha256[:12]}; "
            "make one of this model with `unblur explain-pairs`"
        )
        raise UnblurError(msg)
    return found


def _clip(path: Path, frame: int | None) -> Source:
    from unblur.images.video import DamagedVideoError, read_frames

    wanted = BEFORE if frame is None else frame
    count, frames, numbers = 0, [], []
    with suppress(DamagedVideoError):  # of frames that are not asked about; those that are missing have no number
        for each in read_frames(path):
            count = each.index + 1
            if each.index > wanted + AFTER:
                break
            if each.index >= wanted - BEFORE:
                frames.append(as_floats(each.pixels))
                numbers.append(each.index)
    if not count:
        msg = f"{path}: none of its frames can be read; fetch the file again"
        raise UnblurError(msg)
    middle = min(numbers, key=lambda number: abs(number - wanted), default=count - 1)
    chosen = _checked(middle if frame is None else frame, count, path)
    if chosen not in numbers:
        msg = f"{path}: frame {chosen} is damaged; choose another with --frame"
        raise UnblurError(msg)
    return Source(np.stack(frames), numbers.index(chosen), tuple(numbers))


def _checked(frame: int, count: int, path: Path) -> int:
    if frame >= count:
        msg = f"--frame {frame}: {path} has {count} frames; expected 0 to {count - 1}"
        raise UsageError(msg)
    return frame
