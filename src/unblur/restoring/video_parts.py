"""What a video holds besides its pictures: titles, languages, chapters, subtitles, other tracks; kept, or noted."""

import io
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from unblur.safety.videos import main_track

# Of the file itself, not of what it shows.
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "handler_name"}
_OF_HDR = {
    "MASTERING_DISPLAY_METADATA": "brightness of the screen it was graded on (HDR)",
    "CONTENT_LIGHT_LEVEL": "greatest brightness (HDR)",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
}


# Languages that FFmpeg's QuickTime knows by the other of their two codes (ISO 639-2/B).
_OF_QUICKTIME = {"deu": "ger", "nld": "dut", "isl": "ice", "ell": "gre", "fas": "per", "ron": "rum", "sqi": "alb"}
_OF_QUICKTIME |= {"zho": "chi", "hye": "arm", "mya": "bur", "msa": "may", "bod": "tib", "cym": "wel", "eus": "baq"}


def container_of(target: Path) -> str:
    """Return FFmpeg's name of the container that a suffix stands for."""
    return {".mkv": "matroska", ".mov": "mov"}.get(target.suffix.lower(), "mp4")


def fits(stream: Any, container: str) -> bool:  # noqa: ANN401 (PyAV has no common class with a template)
    """Tell whether a container takes a track of this kind, by writing an empty file with it."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, AttributeError):  # also: a codec that nobody knows has no context
        return False
    return True


def keep_tags(taken: InputContainer, made: OutputContainer) -> None:
    """Hand on titles and chapters; to be called before the first packet."""
    made.metadata.update(_tags(taken.metadata))
    if chapters := taken.chapters():
        made.set_chapters(chapters)


def keep_stream_tags(stream: Any, copy: Any, container: str) -> None:  # noqa: ANN401
    """Hand on a track's language, title and what it is for."""
    tags = _tags(stream.metadata)
    if container == "mov" and "language" in tags:
        tags["language"] = _OF_QUICKTIME.get(tags["language"], tags["language"])
    copy.metadata.update(tags)
    copy.disposition = stream.disposition


def other_tracks(taken: InputContainer, seen: VideoStream) -> list[str]:
    """Return a note for each track that is neither restored nor copied."""
    notes = []
    for stream in taken.streams:
        if stream.type == "video" and stream.index != seen.index:
            size = f"{stream.width} x {stream.height}" if isinstance(stream, VideoStream) else "no size"
            notes.append(f"has more than one video track: the one of {size} (track {stream.index}) is left out")
        elif stream.type not in {"video", "audio", "subtitle"} and not _is_chapters(taken, stream):
            kind = stream.metadata.get("filename") or stream.metadata.get("handler_name") or f"track {stream.index}"
            notes.append(f"its {stream.type} ({kind}) is left out")
    return notes


def picture_losses(picture: av.VideoFrame, seen: VideoStream) -> list[str]:
    """Return a note for each thing of the pictures themselves, the first of which is `picture`, that the copy lacks."""
    notes = []
    codec = seen.codec_context.name
    if codec != "h264":
        notes.append(f"its pictures are {codec}, and become H.264")
    # WebM keeps transparency beside the pictures, where its decoder does not look for it.
    beside = {key.lower(): value for key, value in seen.metadata.items()}.get("alpha_mode") == "1"
    if beside or any(part.is_alpha for part in picture.format.components):
        notes.append("its transparency is left out: H.264 has none")
    if (bits := max(part.bits for part in picture.format.components)) > 10:
        notes.append(f"its {bits} bits become 10")
    if picture.interlaced_frame:
        notes.append("is interlaced: restored and written as whole frames")
    return [*notes, *(f"its {name} is left out" for kind, name in _OF_HDR.items() if picture.side_data.get(kind))]


def forgotten(taken: InputContainer, made: InputContainer) -> list[str]:
    """Return a note for each tag and chapter that the written file does not tell."""
    missing = _tags(taken.metadata).keys() - _tags(made.metadata).keys()
    notes = [f"its {key} does not fit into the container: left out" for key in sorted(missing)]
    if len(taken.chapters()) > len(made.chapters()):
        notes.append("its chapters do not fit into the container: left out")
    pairs: list[tuple[Any, Any]] = [(main_track(taken), main_track(made))]
    for kind in ("audio", "subtitles"):
        tracks, copies = getattr(taken.streams, kind), getattr(made.streams, kind)
        pairs += zip(tracks, copies, strict=True) if len(tracks) == len(copies) else ()
    for before, after in pairs:
        lost = sorted(_tags(before.metadata).keys() - _tags(after.metadata).keys())
        gone = before.disposition & ~after.disposition & ~Disposition.default
        lost += [f"mark {purpose.name!r}" for purpose in Disposition if purpose & gone]
        what = "pictures" if before.type == "video" else before.type
        notes += [f"the {each} of its {what} does not fit into the container: left out" for each in lost]
    return notes


def _is_chapters(taken: InputContainer, stream: Any) -> bool:  # noqa: ANN401
    """MP4 and MOV keep the titles of chapters in a track of their own, which FFmpeg writes anew."""
    return stream.type == "data" and bool(taken.chapters()) and stream.metadata.get("handler_name") == "SubtitleHandler"


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    """Return what a person has written: keys in lower case, without what tells of the file itself."""
    known = {key.lower(): value for key, value in metadata.items() if value not in {"", "und"}}
    if "name" in known:  # what MP4 and MOV call the title of a track
        known.setdefault("title", known.pop("name"))
    known.pop("alpha_mode", None)  # told by picture_losses: the copy has none
    counted = ("_statistics", "bps", "number_of_")  # by the program that wrote the file
    return {key: value for key, value in known.items() if key not in _OF_THE_FILE and not key.startswith(counted)}
