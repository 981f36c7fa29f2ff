"""Videos, read frame by frame: never more than one frame in memory, damage told at the end, upright as players show."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.safety.videos import MAX_FRAMES, MAX_PIXELS, check_video_header, main_track, open_video

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts")

SAME_FRAME = 0.001  # seconds by which a player's clock may lag behind the frame that it shows

_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_HD = 720  # rows from which on a video that does not say so is taken to be BT.709, as players do


@dataclass(frozen=True)
class Frame:
    """One frame: its place in the video, from 0, and its pixels (H, W, 3) uint8 sRGB. Damaged frames leave gaps."""

    index: int
    pixels: NDArray[np.uint8]


class DamagedVideoError(UnblurError):
    """The video is damaged or cut off; raised after every frame that could be read was given."""


def read_frames(path: Path, max_pixels: int = MAX_PIXELS, max_frames: int = MAX_FRAMES) -> Iterator[Frame]:
    """Yield the frames of a video in the order in which they are shown, turned as its rotation says.

    After a damaged frame, those up to the next key frame are left out too: they are predicted from it.

    Raises:
        UnblurError: before the first frame, if the header is refused (see `check_video_header`).
        DamagedVideoError: after the last frame, if some were damaged or the file ends early; names the first.
    """
    check_video_header(path, max_pixels, max_frames)
    damage: tuple[int, str] | None = None
    index = 0
    ended = 0.0
    broken = False
    with open_video(path, max_pixels) as container:
        stream = main_track(container)
        announced = announced_seconds(container, stream)
        for picture in _decode(container, stream):
            if isinstance(picture, str) or picture.is_corrupt:
                damage = damage or (index, picture if isinstance(picture, str) else "its data is damaged")
                broken = True
                index += 1
                continue
            if index >= max_frames:
                msg = f"{path}: more than {max_frames} frames, although its header announces fewer"
                raise UnblurError(msg)
            broken = broken and not picture.key_frame
            if not broken:
                yield Frame(index, _pixels(picture))
            index += 1
            ended = shown_until(picture, stream)
        if damage is None and announced - ended > max(2 / float(stream.average_rate or 1), 0.02 * announced):
            damage = index, f"the file ends after {ended:.2f} of {announced:.2f} s"
    if damage:
        msg = f"{path}: damaged at frame {damage[0]} ({damage[1]}); what can be read is used, fetch the file again"
        raise DamagedVideoError(msg)


def frame_at(path: Path, seconds: float, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the frame (H, W, 3) that a player shows so many seconds after the beginning.

    Only what lies between it and the key frame before it is decoded; of damaged frames it is the last one before them.

    Raises:
        UnblurError: the header is refused (see `check_video_header`), the video ends before that, or is damaged there.
    """
    check_video_header(path, max_pixels)
    for sought in (True, False):  # some containers are sought in past the key frame: then from the beginning
        shown, ends = _shown_at(path, seconds, max_pixels, sought=sought)
        if shown is not None and seconds <= ends + SAME_FRAME:
            return _pixels(shown)
    if shown is None:
        msg = f"{path}: no frame at {seconds:g} s can be read; it is damaged there, choose another moment"
    else:
        msg = f"{path}: ends after {ends:.2f} s, and was asked for what is shown at {seconds:g} s"
    raise UnblurError(msg)


def _shown_at(path: Path, seconds: float, max_pixels: int, *, sought: bool) -> tuple[av.VideoFrame | None, float]:
    """Return the last frame that can be read and begins by then, None where there is none, and until when it is shown.

    Args:
        path: a video whose header was checked.
        seconds: after its beginning.
        max_pixels: of a frame.
        sought: begin with the key frame before that moment.
    """
    shown, ends, broken = None, 0.0, False
    with open_video(path, max_pixels) as container:
        stream = main_track(container)
        if sought:
            with suppress(av.FFmpegError):
                container.seek(int((seconds + _begins(stream)) / (stream.time_base or 1)), stream=stream)
        for picture in _decode(container, stream):
            if isinstance(picture, str) or picture.is_corrupt:
                broken = True
                continue
            if (picture.time or 0.0) - _begins(stream) > seconds + SAME_FRAME:
                return shown, inf
            broken = broken and not picture.key_frame
            if not broken:
                # Sound may go on for longer: then players show the last frame up to its end.
                shown, ends = picture, max(shown_until(picture, stream), (container.duration or 0) / av.time_base)
    return shown, ends


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame | str]:
    """Yield pictures, or in their place what is wrong with them."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            yield _reason(error)
            return
        if packet is None:
            return
        if packet.is_corrupt:
            yield "the file is cut off or damaged there"
            continue
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            yield _reason(error)


def _reason(error: av.FFmpegError) -> str:
    return str(error.strerror or "cannot be decoded").lower()


def _pixels(picture: av.VideoFrame) -> NDArray[np.uint8]:
    unsaid = picture.colorspace == _UNSPECIFIED and picture.height >= _HD
    pixels: NDArray[Any] = picture.to_ndarray(format="rgb24", src_colorspace=Colorspace.ITU709 if unsaid else None)
    quarters = round(picture.rotation / 90) % 4  # counterclockwise, like NumPy's
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def announced_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Return how long the pictures shall last; 0 where that is not told, or told of the sound as well.

    Containers that mark a packet as cut off (MP4, AVI, MPEG) need no such comparison; Matroska does.
    """
    begins = _begins(stream)  # Matroska counts from the beginning of the file
    tag = stream.metadata.get("DURATION", "")
    if tag.count(":") == 2:
        hours, minutes, seconds = (float(part) for part in tag.split(":"))
        return 3600 * hours + 60 * minutes + seconds - begins
    if "matroska" in container.format.name and len(container.streams) == 1:
        return (container.duration or 0) / av.time_base - begins
    return 0.0


def shown_until(picture: av.VideoFrame, stream: VideoStream) -> float:
    """Return when the picture's time is over, in seconds from the start of the stream."""
    return (picture.time or 0.0) - _begins(stream) + 1 / float(stream.average_rate or 1)


def _begins(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0
