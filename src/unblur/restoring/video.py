"""A video restored frame by frame: times, sound, rotation and colour tags stay, memory does not grow with it."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unblur.data.video import announced_seconds, shown_until
from unblur.errors import UnblurError
from unblur.restoring.restorer import Restorer, StreamRestorer
from unblur.restoring.tiles import restore_tiled
from unblur.safety.atomic import replacing
from unblur.safety.videos import check_video_header, open_video

CONTAINERS = (".mp4", ".mov", ".m4v", ".mkv")
CODEC, QUALITY = "libx264", {"crf": "16", "preset": "medium"}
_TAGS = ("color_range", "color_primaries", "color_trc", "colorspace")
_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_HD = 720  # rows


@dataclass
class Restored:
    """What became of a video: frames written, those that could not be read and are left out, where it is cut off."""

    frames: int = 0
    broken: list[int] = field(default_factory=list)
    cut: str | None = None
    notes: list[str] = field(default_factory=list)


def restore_video(
    restorer: Restorer,
    source: Path,
    target: Path,
    *,
    tile: int = 512,
    overlap: int = 64,
    track: Callable[[int], None] = lambda frames: None,
) -> Restored:
    """Write `target`: every frame of `source` that can be read, restored, at its own time.

    A network for images restores each frame on its own, in tiles; one for video takes them as a stream. Frames that
    cannot be read, and those that are predicted from them, are left out: the one before is shown for longer. Sound is
    copied without being decoded. Pictures become H.264 at a quality that hides no detail (CRF 16), 8 bits, 4:2:0.

    Args:
        restorer: for images or video.
        source: a video.
        target: an MP4, MOV or MKV file; written whole or not at all.
        tile: largest side of a tile, for networks for images.
        overlap: of tiles.
        track: called with the number of frames done after each.

    Raises:
        UnblurError: a network for bursts, a video that cannot be opened or has no readable frame, or another suffix.
    """
    if restorer.task == "burst":
        msg = f"{restorer.name}: restores bursts; use --burst with a folder of shots, or a model for images or video"
        raise UnblurError(msg)
    if target.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        msg = f"{target}: {target.suffix or 'no suffix'} is no video that can be written; expected {known}"
        raise UnblurError(msg)
    if target.resolve() == source.resolve():
        msg = f"{target}: is the source itself; name another file"
        raise UnblurError(msg)
    check_video_header(source)
    result = Restored()
    with replacing(target) as unfinished, open_video(source) as taken:
        form = {".mkv": "matroska", ".mov": "mov"}.get(target.suffix.lower(), "mp4")
        with av.open(str(unfinished), "w", format=form) as made:
            _copy(taken, made, restorer, result, tile=tile, overlap=overlap, track=track)
        if result.frames == 0:
            msg = f"{source}: none of its frames can be read; fetch the file again"
            raise UnblurError(msg)
    return result


def _copy(
    taken: InputContainer,
    made: OutputContainer,
    restorer: Restorer,
    result: Restored,
    *,
    tile: int,
    overlap: int,
    track: Callable[[int], None],
) -> None:
    seen = taken.streams.video[0]
    base = seen.time_base or Fraction(1, 90000)
    sound = {stream.index: stream for stream in taken.streams.audio}
    copies: dict[int, Any] = {}
    for index, stream in sound.items():
        try:
            copies[index] = made.add_stream_from_template(stream)
        except (av.FFmpegError, ValueError):
            result.notes.append(f"its sound ({stream.codec_context.name}) does not fit into the container: left out")
    decoded = _Decoder(result)
    pictures: deque[av.VideoFrame] = deque()
    written: VideoStream | None = None
    announced, ended = announced_seconds(taken, seen), 0.0

    def arrays() -> Iterator[NDArray[np.float32]]:
        for packet in taken.demux([seen, *(sound[index] for index in copies)]):
            if packet.stream.index in copies:
                if packet.dts is not None:
                    packet.stream = copies[packet.stream.index]
                    waiting.append(packet)
                continue
            for picture in decoded(packet):
                pictures.append(picture)
                planes = picture.to_ndarray(format="rgb24", src_colorspace=_matrix(picture))
                yield np.ascontiguousarray(planes.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)

    waiting: list[av.Packet[Any]] = []
    for restored in _restored(restorer, arrays(), tile, overlap):
        picture = pictures.popleft()
        if written is None:
            written = _stream_like(made, seen, picture, base)
            made.start_encoding()
        frame = _encoded_like(restored, picture, base)
        made.mux(written.encode(frame))
        ended = shown_until(picture, seen)
        for packet in waiting:
            made.mux(packet)
        waiting.clear()
        result.frames += 1
        track(result.frames)
    if announced - ended > max(2 / float(seen.average_rate or 1), 0.02 * announced):
        result.cut = f"ends after {ended:.2f} of {announced:.2f} s"
    if written is not None:
        made.mux(written.encode(None))
        for packet in waiting:
            made.mux(packet)


def _restored(
    restorer: Restorer, frames: Iterator[NDArray[np.float32]], tile: int, overlap: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield (H, W, 3) uint8 of each frame (1, 3, H, W)."""
    if restorer.task == "video":
        if not isinstance(restorer, StreamRestorer):
            msg = f"{restorer.name}: cannot restore video frame by frame; export it as ONNX"
            raise UnblurError(msg)
        for frame in restorer.stream(frames):
            yield np.rint(np.clip(frame[0], 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
        return
    for frame in frames:
        pixels = np.rint(frame[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        yield restore_tiled(restorer, pixels, tile=tile, overlap=overlap)


class _Decoder:
    """Decodes packets; after a damaged picture, those up to the next key frame are left out too."""

    def __init__(self, result: Restored) -> None:
        self.result = result
        self.number = 0
        self.broken = False

    def __call__(self, packet: "av.Packet[Any]") -> Iterator[av.VideoFrame]:
        """Yield the pictures of a packet that can be shown."""
        if packet.is_corrupt:
            self._leave_out()
            return
        try:
            for picture in packet.decode():
                if not isinstance(picture, av.VideoFrame) or picture.is_corrupt:
                    self._leave_out()
                    continue
                self.broken = self.broken and not picture.key_frame
                if self.broken:
                    self._leave_out()
                    continue
                self.number += 1
                yield picture
        except av.FFmpegError:
            self._leave_out()

    def _leave_out(self) -> None:
        self.result.broken.append(self.number)
        self.number += 1
        self.broken = True


def _stream_like(made: OutputContainer, seen: VideoStream, picture: av.VideoFrame, base: Fraction) -> VideoStream:
    """Add a stream of the same size, times, rotation and colour tags."""
    stream: Any = made.add_stream(CODEC, rate=seen.average_rate or 25, options=QUALITY)
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    stream.time_base = context.time_base = base
    context.sample_aspect_ratio = seen.sample_aspect_ratio or Fraction(1)
    for tag in _TAGS:
        setattr(context, tag, getattr(seen.codec_context, tag))
    if picture.rotation:
        stream.set_display_rotation(picture.rotation)
    return cast("VideoStream", stream)


def _encoded_like(pixels: NDArray[np.uint8], picture: av.VideoFrame, base: Fraction) -> av.VideoFrame:
    """Return the restored pixels as a frame with the time and the colours of the one that they come from."""
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame = rgb.reformat(format="yuv420p", dst_colorspace=_matrix(picture), dst_color_range=picture.color_range)
    frame.pts, frame.time_base = picture.pts, picture.time_base or base
    return frame


def _matrix(picture: av.VideoFrame) -> Colorspace:
    """Return the matrix between RGB and the picture's own colours; where nothing is said, the one that players take.

    The same matrix leads there and back, so what is not known here (BT.2020) keeps its colours too.
    """
    known = {int(each) for each in Colorspace}
    if picture.colorspace in known and picture.colorspace != _UNSPECIFIED:
        return Colorspace(picture.colorspace)
    return Colorspace.ITU709 if picture.height >= _HD else Colorspace.ITU601
