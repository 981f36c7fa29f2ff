"""What goes from a video into its restored copy: pictures, sound, subtitles, times, rotation, colour tags."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unblur.restoring.video_parts import container_of, fits, keep_stream_tags

CODEC, QUALITY = "libx264", {"crf": "16", "preset": "medium"}
HALVED = "yuv420p"  # colours at half the width and height: what every player shows
# Without these FFmpeg rounds down, which darkens by a step of 255, and spreads colours by whole pixels.
EXACT = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
_CENTRED = ("mjpeg", "mpeg1video", "h264", "hevc")  # where the middle is never for want of a word
_TAGS = ("color_range", "color_primaries", "color_trc", "colorspace")
_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_HD = 720  # rows


@dataclass
class Restored:
    """What became of a video: frames written, those that could not be read and are left out, where it is cut off.

    `guarded` are the frames in which the guard put places back. `flicker` is that of input, network and output where
    the picture stands still, in steps of 255 (`unblur.restoring.flicker`), None for recurrent networks.
    """

    frames: int = 0
    broken: list[int] = field(default_factory=list)
    cut: str | None = None
    guarded: list[int] = field(default_factory=list)
    flicker: tuple[float, float, float] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """A line for each thing that the source lacks, and the copy with it."""
        lines = []
        if self.broken:
            numbers = ", ".join(map(str, self.broken[:5])) + (" ..." if len(self.broken) > 5 else "")
            left = f"{len(self.broken)} frames cannot be read (from frame {numbers}) and are left out"
            lines.append(f"{left}; the one before is shown for longer")
        if self.cut:
            lines.append(f"{self.cut}; what is there is restored, fetch the file again")
        return lines


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
    """Copies the packets of sound and subtitles beside the pictures, without decoding them."""

    def __init__(self, taken: InputContainer, made: OutputContainer, result: Restored, target: Path) -> None:
        self.made, self.result = made, result
        self.streams: list[Any] = []
        self.copies: dict[int, tuple[Any, Times]] = {}
        self.held: list[av.Packet[Any]] = []
        for stream in (*taken.streams.audio, *taken.streams.subtitles):
            if not fits(stream, container_of(target)):
                kind = "sound" if stream.type == "audio" else "subtitles"
                name = getattr(stream.codec_context, "name", "of an unknown kind")
                hint = "" if target.suffix.lower() == ".mkv" else "; .mkv takes more kinds"
                result.notes.append(f"{target.suffix} cannot hold its {kind} ({name}): left out{hint}")
                continue
            self.streams.append(stream)

    def begin(self) -> None:
        """Add the tracks, after that of the pictures: players and scripts take the first for the main one."""
        for stream in self.streams:
            copy: Any = self.made.add_stream_from_template(stream)
            keep_stream_tags(stream, copy, self.made.format.name)
            self.copies[stream.index] = copy, Times(1)

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
    """Add a stream of the same size, bits, halving of colours, times, rotation and colour tags."""
    form = form_like(picture)
    place = colours_at(picture, seen.codec_context.name) if HALVED in form else None
    options = QUALITY | ({"chroma_sample_location": place} if place else {})
    stream: Any = made.add_stream(CODEC, rate=seen.average_rate or 25, options=options)
    keep_stream_tags(seen, stream, made.format.name)
    context = stream.codec_context
    stream.width, stream.height = picture.width, picture.height
    stream.pix_fmt = form
    stream.time_base = context.time_base = base
    context.sample_aspect_ratio = seen.sample_aspect_ratio or Fraction(1)
    for tag in _TAGS:
        setattr(context, tag, getattr(seen.codec_context, tag))
    if picture.format.is_rgb:  # written as YCbCr: the matrix and range of RGB would be wrong there
        context.colorspace, context.color_range = matrix(picture), ColorRange.MPEG
    if picture.rotation:
        stream.set_display_rotation(picture.rotation)
    return cast("VideoStream", stream)


def form_like(picture: av.VideoFrame) -> str:
    """Return the encoder's pixel format that loses least: colours halved as they are, in 8 bits or 10.

    Halved colours need even sizes; RGB and odd sizes become 4:4:4.
    """
    form = picture.format
    grey = sum(not part.is_alpha for part in form.components) < 3
    even_width, even_height = picture.width % 2 == 0, picture.height % 2 == 0
    narrow = not form.is_rgb and (grey or form.chroma_width(picture.width) < picture.width)
    low = not form.is_rgb and (grey or form.chroma_height(picture.height) < picture.height)
    if narrow and low and even_width and even_height:
        name = HALVED
    else:
        name = "yuv422p" if narrow and even_width else "yuv444p"
    return name + ("10le" if is_deep(picture) else "")


def format_notes(picture: av.VideoFrame, form: str) -> list[str]:
    """Say what is unusual in the copy's pixel format, as not every player shows it."""
    if "420" in form:
        return ["in 10 bits like the source, which some players lack"] if is_deep(picture) else []
    name = "4:4:4" if "444" in form else "4:2:2"
    odd = picture.width % 2 or picture.height % 2
    why = f"{picture.width} x {picture.height} is odd: in {name}" if odd else f"in {name} like the source"
    return [f"{why}{', 10 bits' if is_deep(picture) else ''}, which some players lack"]


def is_deep(picture: av.VideoFrame) -> bool:
    """Tell whether the picture has more than 8 bits a value."""
    return max(part.bits for part in picture.format.components) > 8


def pixels_of(picture: av.VideoFrame) -> NDArray[Any]:
    """Return the picture as (H, W, 3) RGB: uint8, or uint16 where it has more than 8 bits."""
    form = "rgb48le" if is_deep(picture) else "rgb24"
    return picture.reformat(format=form, src_colorspace=matrix(picture), interpolation=EXACT).to_ndarray()


def encoded_like(pixels: NDArray[Any], picture: av.VideoFrame, base: Fraction, form: str) -> av.VideoFrame:
    """Return the restored pixels as a frame with the time and the colours of the one that they come from."""
    rgb = _filled(picture, pixels)
    span = ColorRange.MPEG if picture.format.is_rgb else picture.color_range
    frame = rgb.reformat(format=form, dst_colorspace=matrix(picture), dst_color_range=span, interpolation=EXACT)
    frame.time_base = picture.time_base or base
    frame.pict_type = PictureType.NONE  # for the encoder to decide
    return frame


def colours_at(picture: av.VideoFrame, codec: str) -> str | None:
    """Return where the picture's halved colours lie, as FFmpeg calls it; None for the left, where players take them.

    PyAV does not tell it, but what FFmpeg makes of a step in the colours does. Nothing said looks like the middle.
    """
    tiny = picture.reformat(16, 16, HALVED)
    steps = []
    for axis in (0, 1):
        for number, plane in enumerate(tiny.planes):
            values = np.full((plane.height, plane.line_size), 128, np.uint8)
            if number == 2:
                values[(slice(4), slice(None))[axis], (slice(None), slice(4))[axis]] = 192
            plane.update(values.tobytes())
        red = tiny.reformat(format="rgb24", interpolation=EXACT).to_ndarray()[..., 0].mean(axis=1 - axis)
        steps.append(float((red - red[-1]).sum() / (red[0] - red[-1])))  # pixels before the step: 8, or 7.5
    top, left = (step < 7.75 for step in steps)
    if top:
        return "topleft" if left else "top"
    return "center" if codec in _CENTRED and not left else None


def _filled(picture: av.VideoFrame, pixels: NDArray[Any]) -> av.VideoFrame:
    """Return the pixels as a frame that knows where the picture's halved colours lie between its pixels.

    PyAV does not tell that place, but hands it on from frame to frame, closed captions too. A new frame has none, and
    FFmpeg would move the colours of most videos by half a pixel to the left.
    """
    kind = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
    rgb = picture.reformat(format=kind)
    if rgb is picture:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=kind)
    plane = rgb.planes[0]
    rows = np.zeros((plane.height, plane.line_size), np.uint8)  # (H, bytes of a row, which may be more than needed)
    content = np.ascontiguousarray(pixels).view(np.uint8).reshape(plane.height, -1)
    rows[:, : content.shape[1]] = content
    plane.update(rows.tobytes())
    return rgb


def matrix(picture: av.VideoFrame) -> Colorspace:
    """Return the matrix between RGB and the picture's own colours; where nothing is said, the one that players take.

    The same matrix leads there and back, so what is not known here (BT.2020) keeps its colours too.
    """
    known = {int(each) for each in Colorspace}
    if picture.colorspace in known and picture.colorspace != _UNSPECIFIED:
        return Colorspace(picture.colorspace)
    return Colorspace.ITU709 if picture.height >= _HD else Colorspace.ITU601
