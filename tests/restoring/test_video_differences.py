"""What FFmpeg tells of a video and of its restored copy: the table of differences is empty, or each is noted."""

from fractions import Fraction

import av
import numpy as np
import pytest

from unblur.images.video import read_frames
from unblur.restoring.video import restore_video

RATE = 25
OF_A_TRACK = ("language", "title")
OF_THE_FILE = ("title", "artist", "comment", "copyright", "creation_time", "location")
BT709 = {"color_range": 1, "color_primaries": 1, "color_trc": 1, "colorspace": 1}
BT2020 = {"color_range": 1, "color_primaries": 9, "color_trc": 16, "colorspace": 9}
QUIET = "log-level=none"
HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400:hdr10=1"


class Same:
    name, sha256, task = "same", "", "image"

    def __call__(self, batch):
        return batch


def write(path, codec, pixels, *, options=None, context=None, track=None, begins=0, sound=True, first=()):
    """Ten frames with sound, titles and a language; `context` and `track` are set on the codec and the track."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=RATE, options=options or {})
        stream.height, stream.width, stream.pix_fmt = 48, 64, pixels
        for target, values in ((stream.codec_context, context or {}), (stream, track or {})):
            for name, value in values.items():
                setattr(target, name, value)
        made.metadata.update(title="A walk", artist="Nobody", comment="in the rain", copyright="none")
        stream.metadata.update(language="fra", title="Pictures")
        voice = made.add_stream("aac", rate=44100, layout="stereo") if sound else None
        if voice:
            voice.metadata.update(language="eng", title="Sound")
        y, x = np.mgrid[:48, :64]
        for number in range(10):
            values = np.uint8(np.stack([x * 3 + 4 * number, y * 4, 255 - x * 3], 2) % 256)
            frame = av.VideoFrame.from_ndarray(values, format="rgb24")
            frame.pts, frame.time_base = begins + number, Fraction(1, RATE)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
        for block in range(17) if voice else ():
            samples = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            samples.sample_rate, samples.pts = 44100, block * 1024
            made.mux(voice.encode(samples))
        if voice:
            made.mux(voice.encode(None))
    return path


def told(path):
    """Return what FFmpeg tells of the file, its tracks and its first picture, by name."""
    with av.open(str(path)) as clip:
        seen = clip.streams.video[0]
        context = seen.codec_context
        found = {
            "codec": context.name,
            "size": (seen.width, seen.height),
            "pixels": (context.pix_fmt or "").replace("yuvj", "yuv"),
            "shape of a pixel": seen.sample_aspect_ratio or 1,
            "frames a second": seen.average_rate,
            "range": 0 if context.color_range == 1 else context.color_range,  # none said means that of video
            "primaries": context.color_primaries,
            "transfer": context.color_trc,
            "matrix": context.colorspace,
            "tracks": [stream.type for stream in clip.streams],
            "chapters": [each["metadata"].get("title") for each in clip.chapters()],
        }
        tags = {key.lower(): value for key, value in clip.metadata.items()}
        found |= {name: tags.get(name) for name in OF_THE_FILE}
        for stream in clip.streams:
            own = {key.lower(): value for key, value in stream.metadata.items()}
            own.setdefault("title", own.get("name"))
            found |= {f"{name} of {stream.type}": own.get(name) for name in OF_A_TRACK}
        for stream in clip.streams.audio:
            found["sound"] = (stream.codec_context.name, stream.rate, stream.layout.name)
        pictures = list(clip.decode(video=0))
        found["times"] = [round(float(picture.time), 2) for picture in pictures]
        found["rotation"] = pictures[0].rotation
        found["interlaced"] = pictures[0].interlaced_frame
        kinds = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
        found |= {kind: pictures[0].side_data.get(kind) is not None for kind in kinds}
    return found


# What may differ where a note holds these words.
NOTED = {
    "codec": "and become H.264",
    "pixels": "its transparency is left out",
    "interlaced": "is interlaced",
    "MASTERING_DISPLAY_METADATA": "brightness of the screen",
    "CONTENT_LIGHT_LEVEL": "greatest brightness",
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("codec", "pixels", "more", "differ"),
    [
        ("libx264", "yuv420p", {}, set()),
        ("libx264", "yuv420p", {"context": BT709}, set()),
        ("libx264", "yuvj420p", {"context": {**BT709, "color_range": 2}}, set()),
        ("libx264", "yuv420p", {"track": {"sample_aspect_ratio": Fraction(4, 3)}}, set()),
        ("libx264", "yuv420p", {"begins": 50}, set()),
        ("libx264", "yuv422p10le", {}, set()),
        ("libx264", "yuv444p", {}, set()),
        ("libx264", "yuv420p", {"options": {"flags": "+ilme+ildct", "x264-params": "tff=1"}}, {"interlaced"}),
        ("libx265", "yuv420p10le", {"context": BT2020, "options": {"x265-params": QUIET}}, {"codec"}),
        (
            "libx265",
            "yuv420p10le",
            {"context": BT2020, "options": {"x265-params": f"{QUIET}:{HDR}"}},
            {"codec", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"},
        ),
        ("mpeg4", "yuv420p", {}, {"codec"}),
    ],
)
def test_what_ffmpeg_tells_differs_in_nothing_that_is_not_noted(tmp_path, suffix, codec, pixels, more, differ):
    source = write(tmp_path / f"in{suffix}", codec, pixels, **more)
    done = restore_video(Same(), source, tmp_path / f"out{suffix}")
    assert done.cut is None
    before, after = told(source), told(tmp_path / f"out{suffix}")
    assert {name for name in before if before[name] != after.get(name)} == differ
    for name in differ:
        assert any(NOTED[name] in note for note in done.notes), (name, done.notes)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_transparency_beside_the_pictures_is_noted_and_not_told_of_the_copy(tmp_path, codec, suffix):
    source = write(tmp_path / "in.webm", codec, "yuva420p", sound=False, options={"auto-alt-ref": "0"})
    done = restore_video(Same(), source, tmp_path / f"out{suffix}")
    assert "its transparency is left out: H.264 has none" in done.notes
    assert not any("alpha_mode" in note for note in done.notes)
    with av.open(str(tmp_path / f"out{suffix}")) as clip:
        assert "alpha_mode" not in {key.lower() for key in clip.streams.video[0].metadata}


def test_pictures_that_begin_late_are_not_called_cut_off(tmp_path):
    source = write(tmp_path / "in.mkv", "libx264", "yuv420p", begins=50)
    assert restore_video(Same(), source, tmp_path / "out.mkv").cut is None
    assert len(list(read_frames(source))) == 10  # raises where it takes the file to be cut off
    source = write(tmp_path / "alone.mkv", "libx264", "yuv420p", begins=50, sound=False)
    assert len(list(read_frames(source))) == 10


def colour_steps(path, place):
    """A clip of even brightness with steps in one of its colours, whose samples lie at `place` (H.264, table E-3)."""
    with av.open(str(path), "w") as made:
        options = {"crf": "1", "x264-params": f"chromaloc={place}"}
        stream = made.add_stream("libx264", rate=RATE, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for number, plane in enumerate(frame.planes):
                values = np.full((plane.height, plane.line_size), 128, np.uint8)
                if number == 1:
                    values[:, :16], values[:12] = 90, values[:12] + 20
                plane.update(values.tobytes())
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_halved_colours_stay_where_they_lie(tmp_path, place):
    source = colour_steps(tmp_path / "in.mp4", place)
    restore_video(Same(), source, tmp_path / "out.mp4")
    steps = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as clip:
            picture = next(clip.decode(video=0))
            plane = picture.planes[1]
            blue = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(float)
            # Samples before each step, and how FFmpeg shows them, which depends on the place that the file tells.
            shown = picture.to_ndarray(format="rgb24").astype(float)[..., 2]
            steps.append(
                (
                    (blue[18, 8:24] - blue[18, 24]).sum() / (blue[18, 8] - blue[18, 24]),
                    (blue[4:20, 4] - blue[20, 4]).sum() / (blue[4, 4] - blue[20, 4]),
                    (shown[36, 16:48] - shown[36, 48]).sum() / (shown[36, 16] - shown[36, 48]),
                    (shown[8:40, 8] - shown[40, 8]).sum() / (shown[8, 8] - shown[40, 8]),
                )
            )
    np.testing.assert_allclose(steps[1], steps[0], atol=0.12)


def captions(path):
    with av.open(str(path)) as clip:
        return [bytes(picture.side_data.get("A53_CC")) for picture in clip.decode(video=0)]


def test_closed_captions_inside_the_pictures_stay(tmp_path):
    """Before each picture a message of ATSC's captions is put in (A/53, part 4; ITU-T H.264, annex D)."""
    with av.open(str(tmp_path / "raw.h264"), "w", format="h264") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"x264-params": "bframes=0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for level in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * level, np.uint8), format="rgb24")
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    head, *units = (tmp_path / "raw.h264").read_bytes().split(b"\0\0\1")
    said, content = [], head
    for unit in units:
        if unit[0] & 31 in (1, 5):  # a picture
            said.append(b"\xfc" + bytes((128 + len(said), 128 + len(said))))
            message = b"\xb5\0\x31GA94\3\x41\xff" + said[-1] + b"\xff"
            content += b"\0\0\1\6\4" + bytes([len(message)]) + message + b"\x80"
        content += b"\0\0\1" + unit
    (tmp_path / "raw.h264").write_bytes(content)
    with av.open(str(tmp_path / "raw.h264")) as raw, av.open(str(tmp_path / "in.mkv"), "w") as made:
        copy = made.add_stream_from_template(raw.streams.video[0])
        packets = [packet for packet in raw.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = round(number / RATE / packet.time_base)
            packet.stream = copy
            made.mux(packet)
    assert captions(tmp_path / "in.mkv") == said
    for suffix in (".mkv", ".mp4"):
        assert restore_video(Same(), tmp_path / "in.mkv", tmp_path / f"out{suffix}").notes == []
        assert captions(tmp_path / f"out{suffix}") == said
