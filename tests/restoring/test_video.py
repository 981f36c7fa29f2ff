"""Clips made here, restored with what changes nothing, or what is known, and compared frame by frame."""

from fractions import Fraction

import av
import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.restoring.video import restore_video

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
    done = restore_video(restorer(), source, tmp_path / "out.mp4")
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
    assert restore_video(restorer, source, tmp_path / "out.mp4").frames == 20
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
    done = restore_video(Late(), tmp_path / "other.ts", tmp_path / "other.mp4")
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
