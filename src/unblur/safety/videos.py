"""What a video's header says, checked before a single frame is decoded."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from unblur.errors import UnblurError
from unblur.safety.inputs import require_file, require_pixels

# The containers that are read, by FFmpeg's names. It knows more, among them playlists, which open other files.
CONTAINERS = ("mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo")
READABLE = "MP4, MOV, MKV, WebM, AVI, MPEG or MPEG-TS"
MAX_PIXELS = 36_000_000  # a frame of 8K has 33
MAX_FRAMES = 1_000_000
MAX_BYTES = 1 << 36


@dataclass(frozen=True)
class VideoHeader:
    """Width and height in pixels as stored (before rotation), frames a second, and the codec's name.

    `frames` is what the container announces, or else duration times rate; 0 where it tells neither.
    """

    width: int
    height: int
    frames: int
    rate: float
    codec: str


def check_video_header(
    path: Path, max_pixels: int = MAX_PIXELS, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES
) -> VideoHeader:
    """Read a video's header and refuse what must not be decoded.

    Args:
        path: a video file.
        max_pixels: most pixels of a frame.
        max_frames: most frames; a file that does not announce them is held to it while it is read.
        max_bytes: most bytes that the file may have.

    Raises:
        UnblurError: no such file, an empty one, too many bytes, pixels or frames, not a video, or one without pictures.
    """
    require_file(path, f"a video ({READABLE})", max_bytes, "cut the video in parts")
    with open_video(path) as container:
        if not container.streams.video:
            msg = f"{path}: holds no pictures, only {_kinds(container)}; a video was expected"
            raise UnblurError(msg)
        stream = main_track(container)
        rate = stream.average_rate or Fraction(0)
        frames = stream.frames or int((container.duration or 0) / av.time_base * rate)
        context = stream.codec_context
        header = VideoHeader(context.width, context.height, frames, float(rate), context.name)
    if min(header.width, header.height) < 1:
        msg = f"{path}: the header tells no size; the file is damaged, or of a kind that is not read"
        raise UnblurError(msg)
    require_pixels(path, (header.width, header.height), max_pixels, "scale the video down", "frames of ")
    if header.frames > max_frames:
        msg = f"{path}: {header.frames} frames, at most {max_frames} are read; cut the video in parts"
        raise UnblurError(msg)
    return header


def open_video(path: Path, max_pixels: int = MAX_PIXELS) -> InputContainer:
    """Open a video without decoding it: only the containers above, and only this one file.

    Its decoders refuse frames that turn out larger than `max_pixels` although the header said otherwise.

    Raises:
        UnblurError: no video, of another kind, or damaged so early that it cannot be opened.
    """
    only = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
    try:
        container = av.open(str(path.resolve()), options=only)
    except PermissionError as error:
        msg = f"{path}: no permission to read it"
        raise UnblurError(msg) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        msg = f"{path}: not a video that can be read, or cut off before its index; {READABLE} was expected"
        raise UnblurError(msg) from error
    for stream in container.streams.video:
        if not stream.codec_context:
            msg = f"{path}: its pictures are of a kind that nothing here decodes, or its header is damaged"
            raise UnblurError(msg)
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
    return container


def main_track(container: InputContainer) -> VideoStream:
    """Return the video track that is meant: no cover and no preview of one frame, where there is another.

    Of several, it is the one that says to be the default, else the first.
    """
    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

    def rank(stream: VideoStream) -> tuple[bool, bool, bool]:
        default = bool(stream.disposition & Disposition.default)
        return not stream.disposition & still, _frames(container, stream) != 1, default

    return max(container.streams.video, key=rank)  # the first of equals


def _frames(container: InputContainer, stream: VideoStream) -> int:
    """Count a track's frames, up to two; the index knows, where there is one."""
    return stream.frames or len(stream.index_entries) or 2


def _kinds(container: InputContainer) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
