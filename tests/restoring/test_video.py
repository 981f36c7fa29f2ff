"""Clips made here, restored with what changes nothing, or what is known, and compared frame by frame."""

from fractions import Fraction

import av
import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.restoring.video import _packets, restore_video
from unblur.restoring.video_streams import Restored

RATE = 25


class Same:
    name, sha256, task = "same", "", "image"

    def __call__(self, batch):
        return batch


class Late(Same):
    """Inverts, two frames late, as a stream."""

    task = "video"

    def __init__(self):
        self.most = self.taken = self.given = 0

    def stream(self, frames):
        held = []
        for frame in frames:
            self.taken += 1
            self.most = max(self.most, self.taken - self.given)
            held.append(frame)
            if len(held) > 2:
                self.given += 1
                yield 1 - held.pop(0)
        yield from (1 - frame for frame in held)


def pictures(count=12, height=48, width=64):
    y, x = np.mgrid[:height, :width]
    steps = [np.stack([x * 3 + 4 * t, y * 4, 255 - x * 3], axis=2) % 256 for t in range(count)]
    return [np.uint8(step) for step in steps]


def write(path, frames, *, times=None, sound=True, rotation=0, tags=(), pixels="yuv420p"):
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"crf": "4", "g": "4", "bf": "0", "threads": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for name, value in tags:
            setattr(stream.codec_context, name, value)
        voice = made.add_stream("aac", rate=44100, layout="mono") if sound else None
        if rotation:
            stream.set_display_rotation(rotation)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = times[number] if times else number * 40, Fraction(1, 1000)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
        for block in range(20) if voice else ():
            tone = np.float32(np.sin(np.arange(1024) / 10 + block))[None]
            samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 44100, block * 1024
            made.mux(voice.encode(samples))
        if voice:
            made.mux(voice.encode(None))
    return path


def read(path):
    with av.open(str(path)) as clip:
        frames = list(clip.decode(video=0))
        return frames, [frame.to_ndarray(format="rgb24") for frame in frames]


def sound_of(path):
    with av.open(str(path)) as clip:
        return [bytes(packet) for packet in clip.demux(audio=0) if packet.size]


def close(ours, theirs, limit=30):
    errors = [np.square(a.astype(float) - b).mean() for a, b in zip(ours, theirs, strict=True)]
    return 10 * np.log10(255**2 / max(errors)) > limit


@pytest.mark.parametrize(("height", "width"), [(49, 63), (48, 63), (49, 64), (1, 1)])
@pytest.mark.parametrize("restorer", [Same, Late])
def test_odd_sizes_stay(tmp_path, height, width, restorer):
    source = write(tmp_path / "in.mp4", pictures(5, height, width), pixels="yuv444p")
    done = restore_video(restorer(), source, tmp_path / "out.mp4", guard=False)
    frames, after = read(tmp_path / "out.mp4")
    assert [(frame.width, frame.height) for frame in frames] == 5 * [(width, height)]
    assert done.notes == [f"{width} x {height} is odd: in 4:4:4, which some players lack"]
    before = read(source)[1]
    assert close(after, before if restorer is Same else [255 - frame for frame in before], 25)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_times_and_sound_stay(tmp_path, suffix):
    source = write(tmp_path / f"in{suffix}", pictures())
    done = restore_video(Same(), source, tmp_path / f"out{suffix}")
    assert (done.frames, done.broken) == (12, [])
    before, after = read(source), read(tmp_path / f"out{suffix}")
    assert close(after[1], before[1])
    np.testing.assert_allclose([f.time for f in after[0]], [f.time for f in before[0]], atol=2e-3)
    assert sound_of(tmp_path / f"out{suffix}") == sound_of(source)


def test_uneven_times_stay(tmp_path):
    times = [0, 30, 90, 100, 260, 300, 333, 390]
    source = write(tmp_path / "in.mkv", pictures(8), times=times, sound=False)
    restore_video(Same(), source, tmp_path / "out.mkv")
    assert [round(frame.time * 1000) for frame in read(tmp_path / "out.mkv")[0]] == times


def test_rotation_and_colour_tags_stay(tmp_path):
    tags = [("color_range", 1), ("color_primaries", 1), ("color_trc", 1), ("colorspace", 1)]
    source = write(tmp_path / "in.mp4", pictures(6), rotation=90, tags=tags)
    restore_video(Same(), source, tmp_path / "out.mp4")
    before, after = read(source), read(tmp_path / "out.mp4")
    assert after[0][0].rotation == before[0][0].rotation != 0
    with av.open(str(tmp_path / "out.mp4")) as clip:
        context = clip.streams.video[0].codec_context
        assert [getattr(context, name) for name, _ in tags] == [value for _, value in tags]
    assert close(after[1], before[1])


def test_a_stream_gets_frames_in_order_and_holds_few(tmp_path):
    source = write(tmp_path / "in.mp4", pictures(20))
    restorer = Late()
    assert restore_video(restorer, source, tmp_path / "out.mp4", guard=False).frames == 20
    inverted = [255 - frame for frame in read(source)[1]]
    assert close(read(tmp_path / "out.mp4")[1], inverted)
    assert restorer.most == 3


def test_progress_is_told(tmp_path):
    told = []
    restore_video(Same(), write(tmp_path / "in.mp4", pictures(5)), tmp_path / "out.mp4", track=told.append)
    assert told == [1, 2, 3, 4, 5]


def test_broken_frames_are_named_and_the_rest_is_restored(tmp_path):
    source = write(tmp_path / "in.mp4", pictures(40), sound=False)
    content = bytearray(source.read_bytes())
    middle = (content.index(b"mdat") + content.index(b"moov")) // 2
    content[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    source.write_bytes(content)
    done = restore_video(Same(), source, tmp_path / "out.mp4")
    assert done.broken == list(range(done.broken[0], done.broken[-1] + 1))
    assert (done.broken[-1] + 1) % 4 == 0  # up to a key frame
    assert done.frames == 40 - len(done.broken) == len(read(tmp_path / "out.mp4")[1])


def test_a_clip_whose_times_start_again_and_whose_size_changes_is_restored_up_to_there(tmp_path):
    """Two recordings in one file, as camcorders leave them: the second goes on where the first ends."""
    parts = [write(tmp_path / f"{h}.ts", pictures(8, h, 64), sound=False).read_bytes() for h in (48, 64)]
    (tmp_path / "same.ts").write_bytes(parts[0] + parts[0])
    (tmp_path / "other.ts").write_bytes(parts[0] + parts[1])
    restore_video(Same(), tmp_path / "same.ts", tmp_path / "same.mp4")
    times = [frame.time for frame in read(tmp_path / "same.mp4")[0]]
    assert len(times) >= 8
    assert np.all(np.diff(times) > 0.02)
    done = restore_video(Late(), tmp_path / "other.ts", tmp_path / "other.mp4", guard=False)
    assert {frame.height for frame in read(tmp_path / "other.mp4")[0]} == {48}
    assert done.frames + len(done.broken) <= 16
    assert done.broken


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_damage_of_any_kind_is_told_in_one_line_or_passed_over(tmp_path, suffix):
    content = write(tmp_path / f"in{suffix}", pictures(30)).read_bytes()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        damaged = bytearray(content)
        at = int(rng.integers(0, len(content) - 300))
        if seed % 4 == 0:
            damaged = damaged[:at]
        elif seed % 4 == 1:
            damaged[at : at + 200] = rng.bytes(200)
        elif seed % 4 == 2:
            for place in rng.integers(0, len(content), 40):
                damaged[place] = rng.integers(256)
        else:
            del damaged[at : at + 250]
        (tmp_path / f"damaged{suffix}").write_bytes(damaged)
        try:
            done = restore_video(Same(), tmp_path / f"damaged{suffix}", tmp_path / "out.mp4")
        except UnblurError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert done.frames == len(read(tmp_path / "out.mp4")[1]) > 0


def test_of_a_truncated_video_the_beginning_is_restored(tmp_path, make_video):
    source = make_video(tmp_path / "in.mkv", pictures(30))
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    done = restore_video(Same(), source, tmp_path / "out.mkv")
    assert 5 < done.frames < 30
    assert done.broken or done.cut
    assert len(read(tmp_path / "out.mkv")[1]) == done.frames


def grey_clip(path, depth=8, size=(48, 64)):
    """A clip of flat grey steps, whose luma is known to the digit."""
    with av.open(str(path), "w") as made:
        form, kind = ("yuv420p", np.uint8) if depth == 8 else ("yuv420p10le", np.uint16)
        stream = made.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = size
        stream.pix_fmt = form
        for level in range(40, 220, 20):
            frame = av.VideoFrame(size[1], size[0], form)
            for number, plane in enumerate(frame.planes):
                value = (level if number == 0 else 128) * (1 if depth == 8 else 4) + (1 if depth == 10 else 0)
                plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return path


def luma(path, kind=np.uint8):
    with av.open(str(path)) as clip:
        return [float(np.frombuffer(frame.planes[0], kind).mean()) for frame in clip.decode(video=0)]


def test_brightness_stays(tmp_path):
    source = grey_clip(tmp_path / "in.mkv")
    restore_video(Same(), source, tmp_path / "out.mkv")
    np.testing.assert_allclose(luma(tmp_path / "out.mkv"), luma(source), atol=0.3)


def test_ten_bits_stay_ten(tmp_path):
    source = grey_clip(tmp_path / "in.mkv", depth=10)
    done = restore_video(Same(), source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as clip:
        assert clip.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    np.testing.assert_allclose(luma(tmp_path / "out.mkv", np.uint16), luma(source, np.uint16), atol=0.6)
    told = ["in 10 bits like the source, which some players lack", "its pictures are ffv1, and become H.264"]
    assert done.notes == told


@pytest.mark.parametrize(
    ("codec", "pixels", "becomes", "notes"),
    [
        ("libx264", "yuv422p", "yuv422p", ["in 4:2:2 like the source, which some players lack"]),
        ("libx264", "gray", "yuv420p", []),
        ("libx264rgb", "rgb24", "yuv444p", ["in 4:4:4 like the source, which some players lack"]),
        (
            "qtrle",
            "argb",
            "yuv444p",
            ["in 4:4:4 like the source", "qtrle, and become H.264", "its transparency is left out"],
        ),
        (
            "prores_ks",
            "yuva444p10le",
            "yuv444p10le",
            ["in 4:4:4", "prores, and become H.264", "its transparency is left out", "12 bits become 10"],
        ),
    ],
)
def test_colours_keep_their_matrix_and_halving(tmp_path, make_video, codec, pixels, becomes, notes):
    source = make_video(tmp_path / "in.mov", pictures(4), codec, pixels)
    done = restore_video(Same(), source, tmp_path / "out.mov")
    assert len(done.notes) == len(notes)
    assert all(said in note for said, note in zip(notes, done.notes, strict=True))
    with av.open(str(tmp_path / "out.mov")) as clip:
        assert clip.streams.video[0].codec_context.pix_fmt == becomes
    before, after = read(source)[1], read(tmp_path / "out.mov")[1]
    assert close(after, before, 25)
    assert abs(np.mean(after) - np.mean(before)) < 1.5


def with_parts(path, sound="aac", second=None):
    """A clip with titles, a language, chapters, and at will another video track of so many frames before its own."""
    with av.open(str(path), "w") as made:
        tracks = []
        if second:
            tracks.append((made.add_stream("mpeg4", rate=RATE), pictures(second, 32, 32)))
        tracks.append((made.add_stream("libx264", rate=RATE), pictures(10)))
        for stream, frames in tracks:
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
        made.metadata.update(title="A walk", artist="Nobody", comment="in the rain")
        voice = made.add_stream(sound, rate=8000, layout="mono")
        voice.metadata.update(language="ger", title="With wind")
        chapters = [
            {"id": n, "start": 200 * n, "end": 200 * n + 200, "metadata": {"title": f"part {n}"}} for n in (0, 1)
        ]
        made.set_chapters([{**chapter, "time_base": Fraction(1, 1000)} for chapter in chapters])
        for stream, frames in tracks:
            for number, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, RATE)
                made.mux(stream.encode(picture))
            made.mux(stream.encode(None))
        form = voice.codec_context.format.name
        for block in range(3):
            count = voice.codec_context.frame_size or 1024
            silence = np.zeros((1, count), {"fltp": np.float32, "s16": np.int16, "u8": np.uint8}[form])
            samples = av.AudioFrame.from_ndarray(silence, format=form, layout="mono")
            samples.sample_rate, samples.pts = 8000, block * count
            made.mux(voice.encode(samples))
        made.mux(voice.encode(None))
    return path


def parts(path):
    """What the table of differences compares: titles, chapters, and the language and title of the sound."""
    with av.open(str(path)) as clip:
        tags = {key.lower(): value for key, value in clip.metadata.items()}
        sound = [{key.lower(): value for key, value in each.metadata.items()} for each in clip.streams.audio]
        return (
            {key: tags.get(key) for key in ("title", "artist", "comment")},
            [chapter["metadata"]["title"] for chapter in clip.chapters()],
            [(each.get("language"), each.get("title") or each.get("name")) for each in sound],
        )


@pytest.mark.parametrize("taken", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_titles_languages_and_chapters_stay(tmp_path, taken, suffix):
    source = with_parts(tmp_path / f"in{taken}")
    done = restore_video(Same(), source, tmp_path / f"out{suffix}")
    assert done.notes == []
    assert parts(tmp_path / f"out{suffix}") == parts(source)
    assert parts(source)[1] == ["part 0", "part 1"]


def test_what_the_container_cannot_hold_is_noted(tmp_path):
    source = with_parts(tmp_path / "in.mkv", sound="pcm_u8")
    done = restore_video(Same(), source, tmp_path / "out.mp4")
    assert done.notes == [".mp4 cannot hold its sound (pcm_u8): left out; .mkv takes more kinds"]
    assert done.frames == 10
    assert restore_video(Same(), source, tmp_path / "out.mkv").notes == []


@pytest.mark.parametrize("second", [1, 6])
def test_of_two_video_tracks_the_preview_never_wins_and_the_other_is_noted(tmp_path, second):
    source = with_parts(tmp_path / "in.mp4", second=second)
    done = restore_video(Same(), source, tmp_path / "out.mp4")
    assert done.frames == (10 if second == 1 else 6)
    left = "32 x 32 (track 0)" if second == 1 else "64 x 48 (track 1)"
    told = [f"has more than one video track: the one of {left} is left out"]
    assert done.notes == told + (["its pictures are mpeg4, and become H.264"] if second == 6 else [])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_every_sound_track_stays_behind_the_pictures_with_language_title_and_mark(tmp_path, suffix):
    with av.open(str(tmp_path / "in.mkv"), "w") as made:
        pictured = made.add_stream("libx265", rate=RATE, options={"x265-params": "log-level=none"})
        pictured.height, pictured.width, pictured.pix_fmt = 48, 64, "yuv420p10le"
        pictured.metadata.update(language="deu", title="The walk")
        voices = []
        for language, title, layout in (("deu", "Ton", "stereo"), ("eng", "Commentary", "mono"), ("fra", "Son", "5.1")):
            voice = made.add_stream("aac", rate=48000, layout=layout)
            voice.metadata.update(language=language, title=title)
            voices.append((voice, layout))
        voices[1][0].disposition = av.stream.Disposition.comment
        for number, frame in enumerate(pictures(6)):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            made.mux(pictured.encode(picture))
        made.mux(pictured.encode(None))
        for voice, layout in voices:
            count = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
            samples = av.AudioFrame.from_ndarray(np.zeros((count, 1024), np.float32), format="fltp", layout=layout)
            samples.sample_rate, samples.pts = 48000, 0
            made.mux(voice.encode(samples))
            made.mux(voice.encode(None))
    done = restore_video(Same(), tmp_path / "in.mkv", tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as clip:
        german = "ger" if suffix == ".mov" else "deu"
        found = [(each.type, each.language) for each in clip.streams if each.type != "data"]
        assert found == [("video", german), ("audio", german), ("audio", "eng"), ("audio", "fra")]
        assert [each.layout.name for each in clip.streams.audio] == ["stereo", "mono", "5.1"]
        assert clip.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
        marked = [bool(each.disposition & av.stream.Disposition.comment) for each in clip.streams.audio]
    told = ["in 10 bits like the source, which some players lack", "its pictures are hevc, and become H.264"]
    if suffix == ".mov":
        told.append("the mark 'comment' of its audio does not fit into the container: left out")
    assert done.notes == told
    assert marked == [False, suffix != ".mov", False]


def test_subtitles_are_copied(tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    plain = write(tmp_path / "plain.mkv", pictures(10), sound=False)
    with (
        av.open(str(plain)) as clip,
        av.open(str(tmp_path / "words.srt")) as words,
        av.open(str(tmp_path / "in.mkv"), "w") as made,
    ):
        copies = {}
        for taken in (clip.streams.video[0], words.streams.subtitles[0]):
            copies[taken] = made.add_stream_from_template(taken)
        copies[words.streams.subtitles[0]].metadata["language"] = "eng"
        for container in (clip, words):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream]
                    made.mux(packet)
    assert restore_video(Same(), tmp_path / "in.mkv", tmp_path / "out.mkv").notes == []
    with av.open(str(tmp_path / "out.mkv")) as clip:
        said = [(bytes(p), float(p.pts * p.time_base)) for p in clip.demux(subtitles=0) if p.size]
        assert said == [(b"Hello", pytest.approx(0.1))]
        assert clip.streams.subtitles[0].language == "eng"
    done = restore_video(Same(), tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert done.notes == [".mp4 cannot hold its subtitles (srt): left out; .mkv takes more kinds"]


def test_what_cannot_be_done_is_one_line_and_leaves_nothing(tmp_path):
    source = write(tmp_path / "in.mp4", pictures(3))
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "folder").mkdir()
    burst = Same()
    burst.task = "burst"
    for restorer, taken, target, says in (
        (Same(), source, "out.gif", "is no video that can be written"),
        (Same(), tmp_path / "text.mp4", "out.mp4", "not a video"),
        (Same(), source, "in.mp4", "the source itself"),
        (Same(), source, "folder", "is a folder; name the file"),
        (burst, source, "out.mp4", "restores bursts"),
    ):
        with pytest.raises(UnblurError, match=says) as told:
            restore_video(restorer, taken, tmp_path / target)
        assert "\n" not in str(told.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.mp4", "text.mp4"]


def test_a_disk_that_fails_within_a_video_is_told():
    class Failing:
        def demux(self, streams):
            yield from streams
            raise av.FFmpegError(5, "Input/output error")

    result = Restored()
    assert list(_packets(Failing(), ["packet"], result)) == ["packet"]
    assert [fault for fault in result.faults if "cannot be read any further (Input/output error)" in fault]
