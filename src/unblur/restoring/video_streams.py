"""What goes from a video into its restored copy: pictures that can be shown, sound, times, rotation, colour tags."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

CODEC, QUALITY = "libx264", {"crf": "16", "preset": "medium"}
HALVED = "yuv420p"  # colours at half the width and height: what every player shows
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


class Times:
    """Keeps times increasing: damaged files give times that are missing or go back, which no container takes."""

    def __init__(self, step: int) -> None:
        self.step, self.last = step, -(1 << 62)

    def after(self, time: int | None) -> int:
        """Return `time`, or one step after the last where it does not lie behind that."""
        if time is None or time <= self.last:
            time = self.last + self.step if self.last > -(1 << 62) else 0
        self.last = time
        return time


class Sound:
    """Copies the sound's packets beside the pictures, without decoding them."""

    def __init__(self, taken: InputContainer, made: OutputContainer, result: Restored) -> None:
        self.made, self.result = made, result
        self.streams: list[Any] = []
        self.copies: dict[int, tuple[Any, Times]] = {}
        self.held: list[av.Packet[Any]] = []
        for stream in taken.streams.audio:
            try:
                self.copies[stream.index] = made.add_stream_from_template(stream), Times(1)
                self.streams.append(stream)
            except (av.FFmpegError, ValueError, AttributeError):  # also: a codec that nobody knows has no context
                name = getattr(stream.codec_context, "name", "of an unknown kind")
                result.notes.append(f"its sound ({name}) does not fit into the container: left out")

    def hold(self, packet: "av.Packet[Any]") -> None:
        """Keep a packet until the pictures have come as far."""
        if packet.dts is not None and not packet.is_corrupt:
            self.held.append(packet)

    def write(self) -> None:
        """Write what is held."""
        for packet in self.held:
            copy, times = self.copies[packet.stream.index]
            early, length = packet.dts or 0, packet.duration or 1
            times.step = length
            packet.pts = packet.dts = times.after(early)
            packet.stream = copy
            try:
                self.made.mux(packet)
            except av.FFmpegError:
                damaged = "some of its sound is damaged: left out"
                if damaged not in self.result.notes:
                    self.result.notes.append(damaged)
        self.held.clear()


class Decoder:
    """Decodes packets; after a damaged picture, those up to the next key frame are left out too.

    So are pictures of another size than the first: a video has one.
    """

    def __init__(self, result: Restored) -> None:
        self.result = result
        self.number = 0
        self.broken = False
        self.size: tuple[int, int] | None = None

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
                self.size = self.size or (picture.width, picture.height)
                if self.broken or (picture.width, picture.height) != self.size:
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


def stream_like(made: OutputContainer, seen: VideoStream, picture: av.VideoFrame, base: Fraction) -> VideoStream:
    """Add a stream of the same size, times, rotation and colour tags."""
    stream: Any = made.add_stream(CODEC, rate=seen.average_rate or 25, options=QUALITY)
    context = stream.codec_context
    stream.width, stream.height = picture.width, picture.height
    stream.pix_fmt = HALVED if picture.width % 2 == picture.height % 2 == 0 else "yuv444p"
    stream.time_base = context.time_base = base
    context.sample_aspect_ratio = seen.sample_aspect_ratio or Fraction(1)
    for tag in _TAGS:
        setattr(context, tag, getattr(seen.codec_context, tag))
    if picture.rotation:
        stream.set_display_rotation(picture.rotation)
    return cast("VideoStream", stream)


def encoded_like(pixels: NDArray[np.uint8], picture: av.VideoFrame, base: Fraction, form: str) -> av.VideoFrame:
    """Return the restored pixels as a frame with the time and the colours of the one that they come from."""
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    frame = rgb.reformat(format=form, dst_colorspace=matrix(picture), dst_color_range=picture.color_range)
    frame.time_base = picture.time_base or base
    return frame


def matrix(picture: av.VideoFrame) -> Colorspace:
    """Return the matrix between RGB and the picture's own colours; where nothing is said, the one that players take.

    The same matrix leads there and back, so what is not known here (BT.2020) keeps its colours too.
    """
    known = {int(each) for each in Colorspace}
    if picture.colorspace in known and picture.colorspace != _UNSPECIFIED:
        return Colorspace(picture.colorspace)
    return Colorspace.ITU709 if picture.height >= _HD else Colorspace.ITU601
