"""A video restored frame by frame: times, sound, rotation and colour tags stay, memory does not grow with it."""

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unblur.errors import UnblurError, UsageError
from unblur.images.video import announced_seconds, shown_until
from unblur.restoring.flicker import Steadier
from unblur.restoring.strength import blend
from unblur.restoring.video_parts import container_of, forgotten, keep_tags, other_tracks, picture_losses
from unblur.restoring.video_streams import (
    HALVED,
    Decoder,
    Restored,
    Sound,
    Times,
    encoded_like,
    format_notes,
    pixels_of,
    stream_like,
)
from unblur.runtimes.guard import Broken, describe, mend_batch
from unblur.runtimes.restorer import Restorer, StreamRestorer
from unblur.runtimes.tiles import restore_tiled, settled
from unblur.safety.atomic import replacing
from unblur.safety.videos import check_video_header, main_track, open_video

Frame = NDArray[np.float32]  # (1, 3, H, W) in [0, 1]
Pixels = NDArray[np.unsignedinteger[Any]]  # (H, W, 3), uint8 or uint16
Answer = tuple[Pixels, list[Broken]]

CONTAINERS = (".mp4", ".mov", ".m4v", ".mkv")


def restore_video(
    restorer: Restorer,
    source: Path,
    target: Path,
    *,
    tile: int = 512,
    overlap: int = 64,
    track: Callable[[int], None] = lambda frames: None,
    strength: float = 1.0,
    guard: bool = True,
    steady: bool = True,
) -> Restored:
    """Write `target`: every frame of `source` that can be read, restored, at its own time.

    A network for images restores each frame on its own, in tiles; one for video takes them as a stream. Frames that
    cannot be read, and those that are predicted from them, are left out: the one before is shown for longer. Sound
    and subtitles are copied without being decoded, titles, languages and chapters kept; what the copy lacks is noted.
    Pictures become H.264 at a quality that hides no detail (CRF 16), in 8 bits or 10, with colours halved as they are;
    where width or height is odd in 4:4:4, as halved colours need even sizes.

    Args:
        restorer: for images or video.
        source: a video.
        target: an MP4, MOV or MKV file; written whole or not at all.
        tile: largest side of a tile, for networks for images.
        overlap: of tiles.
        track: called with the number of frames done after each.
        strength: see `unblur.restoring.strength.blend`.
        guard: put back what no answer may do, in each frame (`unblur.runtimes.guard`).
        steady: bound the flicker of a network for images (`unblur.restoring.flicker`); one for video has a memory.

    Raises:
        UnblurError: a network for bursts, a video that cannot be opened or has no readable frame, or another suffix.
    """
    if restorer.task == "burst":
        msg = f"{restorer.name}: restores bursts; use --burst with a folder of shots, or a model for images or video"
        raise UnblurError(msg)
    check_video_target(source, target)
    check_video_header(source)
    result = Restored()
    with replacing(target) as unfinished, open_video(source) as taken:
        try:
            with av.open(str(unfinished), "w", format=container_of(target)) as made:
                answers = partial(_restored, restorer, tile=tile, overlap=overlap, guard=guard)
                finish = _Finish(strength, Steadier(steady) if restorer.task == "image" else None, result)
                _copy(taken, made, answers, finish, result, target=target, track=track)
        except av.FFmpegError as error:
            msg = f"{target}: cannot be written after {result.frames} frames ({error.strerror}); is the disk full?"
            raise UnblurError(msg) from error
        if result.frames == 0:
            msg = f"{source}: none of its frames can be read; fetch the file again"
            raise UnblurError(msg)
        with open_video(unfinished) as check:
            result.notes += forgotten(taken, check)
    return result


def check_video_target(source: Path, target: Path) -> None:
    """Refuse what cannot be written, to be asked before the work is done.

    Raises:
        UsageError: the target is a folder, the source itself, or has the suffix of no container that is written.
    """
    if target.is_dir():
        msg = f"{target}: is a folder; name the file to write, such as {target / source.name}"
        raise UsageError(msg)
    if target.resolve() == source.resolve():
        msg = f"{target}: is the source itself; name another file"
        raise UsageError(msg)
    if target.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        msg = f"{target}: {target.suffix or 'no suffix'} is no video that can be written; expected {known}"
        raise UsageError(msg)


class _Finish:
    """What is done to each answer before it is shown: blended with the frame, and steadied."""

    def __init__(self, strength: float, steadier: Steadier | None, result: Restored) -> None:
        self.strength, self.steadier, self.result = strength, steadier, result

    def __call__(self, before: Pixels, answer: Pixels, broken: list[Broken]) -> Pixels:
        """Return the frame to show; note what the guard did and how much the video has flickered so far."""
        if broken:
            if not self.result.guarded:
                self.result.notes.append(f"frame {self.result.frames}: {describe(broken)}")
            self.result.guarded.append(self.result.frames)
        shown = blend(before, answer, self.strength)
        if self.steadier is not None:
            shown = self.steadier(before, shown)
            self.result.flicker = self.steadier.flicker
        return shown


def _copy(
    taken: InputContainer,
    made: OutputContainer,
    answers: Callable[[Iterator[Frame], Callable[[], np.dtype[Any]]], Iterator[Answer]],
    finish: _Finish,
    result: Restored,
    *,
    target: Path,
    track: Callable[[int], None],
) -> None:
    seen = main_track(taken)
    base = seen.time_base or Fraction(1, 90000)
    result.notes += other_tracks(taken, seen)
    keep_tags(taken, made)
    sound = Sound(taken, made, result, target)
    decoded = Decoder(result)
    pictures: deque[tuple[av.VideoFrame, Pixels]] = deque()
    written: VideoStream | None = None
    times = Times(max(1, round(1 / (float(seen.average_rate or 25) * base))))
    announced, ended = announced_seconds(taken, seen), 0.0

    def arrays() -> Iterator[Frame]:
        for packet in _packets(taken, [seen, *sound.streams], result):
            if packet.stream.index != seen.index:
                sound.hold(packet)
                continue
            for picture in decoded(packet):
                pixels = pixels_of(picture)
                pictures.append((picture, pixels))
                whole = np.float32(np.iinfo(pixels.dtype).max)
                yield np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32) / whole

    for answer, broken in answers(arrays(), lambda: pictures[0][1].dtype):
        picture, before = pictures.popleft()
        if written is None:
            written = stream_like(made, seen, picture, base)
            sound.begin()
            made.start_encoding()
            result.notes += [
                *format_notes(picture, written.pix_fmt or HALVED),
                *picture_losses(picture, seen),
            ]
        frame = encoded_like(finish(before, answer, broken), picture, base, written.pix_fmt or HALVED)
        frame.pts = times.after(picture.pts)
        frame.duration = picture.duration
        made.mux(written.encode(frame))
        ended = shown_until(picture, seen)
        sound.write()
        result.frames += 1
        track(result.frames)
    if announced - ended > max(2 / float(seen.average_rate or 1), 0.02 * announced):
        result.cut = f"ends after {ended:.2f} of {announced:.2f} s"
    if written is not None:
        made.mux(written.encode(None))
        sound.write()


def _packets(taken: InputContainer, streams: list[Any], result: Restored) -> Iterator["av.Packet[Any]"]:
    """Yield the packets of these streams, up to where the container cannot be read any further, which is noted."""
    try:
        yield from taken.demux(streams)
    except av.FFmpegError as error:
        result.cut = f"cannot be read any further ({error.strerror})"


def _restored(
    restorer: Restorer,
    frames: Iterator[Frame],
    kind: Callable[[], np.dtype[Any]],
    *,
    tile: int,
    overlap: int,
    guard: bool,
) -> Iterator[Answer]:
    """Yield (H, W, 3) of each frame (1, 3, H, W), of the type that `kind` says of the next; what the guard put back."""
    if restorer.task == "video":
        if not isinstance(restorer, StreamRestorer):
            msg = f"{restorer.name}: cannot restore video frame by frame; export it as ONNX"
            raise UnblurError(msg)
        waiting: deque[Frame] = deque()
        for frame in restorer.stream(_remembered(frames, waiting)):
            mended, broken = mend_batch(waiting.popleft(), frame) if guard else (frame, [])
            yield _as_integers(np.clip(mended[0], 0, 1), kind()), broken
        return
    restorer = settled(restorer)
    for frame in frames:
        found: list[Broken] = []
        pixels = _as_integers(frame[0], kind())
        yield restore_tiled(restorer, pixels, tile=tile, overlap=overlap, broken=found if guard else None), found


def _as_integers(frame: NDArray[np.float32], kind: np.dtype[Any]) -> Pixels:
    pixels: Pixels = np.rint(frame.transpose(1, 2, 0) * np.iinfo(kind).max).astype(kind)
    return pixels


def _remembered(frames: Iterator[Frame], waiting: deque[Frame]) -> Iterator[Frame]:
    for frame in frames:
        waiting.append(frame)
        yield frame
