"""A video's header is enough to refuse it."""

import av
import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.safety.videos import VideoHeader, check_video_header, open_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory, make_video):
    frames = [np.full((48, 64, 3), 10 * index, np.uint8) for index in range(12)]
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames, "libx264", "yuv420p", rate=24)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.ts", "mpeg2video", "yuv420p"),
    ],
)
def test_the_header_says_size_frames_rate_and_codec(tmp_path, make_video, name, codec, pixels):
    frames = [np.full((48, 64, 3), 10 * index, np.uint8) for index in range(24)]
    header = check_video_header(make_video(tmp_path / name, frames, codec, pixels, rate=24))
    assert (header.width, header.height, header.rate, header.codec) == (64, 48, 24.0, codec)
    assert header.frames == pytest.approx(24, abs=6)  # MPEG streams: out of their time stamps


def test_nothing_is_decoded(tmp_path, clip):
    """Its pictures are overwritten with zeros: they cannot be decoded, the header is fine."""
    content = bytearray(clip.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    path = tmp_path / "hollow.mp4"
    path.write_bytes(content)
    assert check_video_header(path) == VideoHeader(64, 48, 12, 24.0, "h264")


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"max_pixels": 64 * 48 - 1}, r"frames of 0\.0 megapixels \(64 x 48\), at most 0\.0 are read; scale"),
        ({"max_frames": 11}, "12 frames, at most 11 are read; cut the video in parts"),
        ({"max_bytes": 10}, r"\d+ bytes, at most 10 are read"),
    ],
)
def test_the_limits_hold(clip, limit, message):
    with pytest.raises(UnblurError, match=message):
        check_video_header(clip, **limit)
    assert check_video_header(clip, max_pixels=64 * 48, max_frames=12, max_bytes=clip.stat().st_size).frames == 12


def test_a_decoder_refuses_frames_larger_than_announced(clip):
    with open_video(clip, max_pixels=1000) as container, pytest.raises(av.FFmpegError):
        list(container.decode(video=0))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"hello, I am a text", "not a video that can be read"),
        ("list.mp4", b"ffconcat version 1.0\nfile 'clip.mp4'\n", "not a video that can be read"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n", "not a video that can be read"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n", "not a video that can be read"),
    ],
)
def test_what_is_no_video_or_names_other_files_is_refused(tmp_path, clip, name, content, message):
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnblurError, match=message) as caught:
        check_video_header(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_before_its_index_is_named(tmp_path, clip):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:600])
    with pytest.raises(UnblurError, match=r"cut\.mp4: not a video that can be read, or cut off before its index"):
        check_video_header(path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(UnblurError, match="holds no pictures, only audio"):
        check_video_header(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(UnblurError, match="there is no such file"):
            check_video_header(path)
