import struct
import tracemalloc
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.images.video import DamagedVideoError, frame_at, read_frames
from unblur.safety.videos import check_video_header


def texture(height=48, width=64, seed=0):
    noise = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.rint((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


def panning(count, **options):
    still = texture(**options)
    return [np.roll(still, 2 * index, axis=1) for index in range(count)]


def read(path):
    """Return the frames that can be read, and what is said of the damage."""
    frames = []
    try:
        for frame in read_frames(path):
            frames.append(frame)
    except DamagedVideoError as error:
        return frames, str(error)
    return frames, None


def truncated(path, share):
    content = path.read_bytes()
    cut = path.with_name(f"cut_{path.name}")
    cut.write_bytes(content[: int(len(content) * share)])
    return cut


def rotated(path, matrix):
    """Write a 2 x 2 matrix into the track header of an MP4, as a phone does that was held upright."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # version 0: the matrix stands 40 bytes in, as nine 32-bit numbers
    (a, b), (c, d) = matrix
    content[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    turned = path.with_name(f"turned_{path.name}")
    turned.write_bytes(content)
    return turned


def test_a_lossless_video_comes_back_to_the_byte(tmp_path, make_video):
    made = panning(20)
    frames, damage = read(make_video(tmp_path / "a.mkv", made))
    assert damage is None
    assert [frame.index for frame in frames] == list(range(20))
    for frame, expected in zip(frames, made, strict=True):
        np.testing.assert_array_equal(frame.pixels, expected)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video")])
def test_lossy_ones_come_back_in_order_and_alike(tmp_path, make_video, name, codec):
    made = panning(25)
    frames, damage = read(make_video(tmp_path / name, made, codec, "yuv420p", b="4000000"))
    assert damage is None
    assert len(frames) == 25
    for frame in frames:
        nearest = min(range(25), key=lambda index: np.abs(frame.pixels.astype(int) - made[index]).mean())
        assert nearest == frame.index


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        (((1, 0), (0, 1)), 0),
        (((0, 1), (-1, 0)), -1),  # a phone held upright: shown a quarter turn clockwise
        (((-1, 0), (0, -1)), 2),
        (((0, -1), (1, 0)), 1),
    ],
)
def test_frames_are_turned_as_the_file_says(tmp_path, make_video, matrix, turn):
    made = panning(3)
    path = rotated(make_video(tmp_path / "a.mp4", made, "mpeg4", "yuv420p", b="8000000"), matrix)
    frames, _ = read(path)
    for frame, expected in zip(frames, made, strict=True):
        upright = np.rot90(expected, turn)
        assert frame.pixels.shape == upright.shape
        assert np.abs(frame.pixels.astype(int) - upright).mean() < 8


@pytest.mark.parametrize(("height", "to_red"), [(240, "601"), (720, "709")])
def test_colours_of_a_video_that_does_not_name_its_matrix_are_those_that_players_show(
    tmp_path, make_video, height, to_red
):
    grey = make_video(tmp_path / "a.mkv", [np.zeros((height, 64, 3), np.uint8)] * 2, "ffv1", "yuv444p")
    import av

    with av.open(str(tmp_path / "red.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv444p"
        planes = [np.full((height, 64), value, np.uint8) for value in (100, 128, 178)]
        picture = av.VideoFrame.from_ndarray(np.stack(planes), format="yuv444p")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert read(grey)[0][0].pixels.max() <= 2
    (frame,), _ = read(tmp_path / "red.mkv")
    # ITU-R BT.601 and BT.709, limited range: R = 1.164 (Y - 16) + c (Cr - 128), c = 1.596 and 1.793.
    red = 1.164 * (100 - 16) + {"601": 1.596, "709": 1.793}[to_red] * 50
    assert frame.pixels[..., 0].mean() == pytest.approx(red, abs=2)


def test_memory_holds_a_frame_however_long_the_video(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", panning(150, height=240, width=320), "mpeg4", "yuv420p")
    tracemalloc.start()
    count = sum(1 for _ in read_frames(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 150
    assert peak < 5 * 240 * 320 * 3


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.mkv", "ffv1", "bgr0"), ("a.avi", "mpeg4", "yuv420p"), ("a.mpg", "mpeg2video", "yuv420p")],
)
def test_of_a_truncated_video_what_can_be_read_is_given_and_the_frame_is_named(
    tmp_path, make_video, name, codec, pixels
):
    path = truncated(make_video(tmp_path / name, panning(60, height=96, width=128), codec, pixels, b="4000000"), 0.6)
    frames, damage = read(path)
    assert 5 < len(frames) < 60
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert damage.startswith(f"{path}: damaged at frame {len(frames)} (")
    assert "\n" not in damage


def test_after_a_damaged_frame_reading_goes_on_at_the_next_key_frame(tmp_path, make_video):
    made = panning(60)
    path = make_video(tmp_path / "a.mp4", made, "libx264", "yuv420p", g="12", bf="0", sc_threshold="0")
    content = bytearray(path.read_bytes())
    middle = (content.index(b"mdat") + content.index(b"moov")) // 2
    content[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(content)
    frames, damage = read(path)
    indices = [frame.index for frame in frames]
    lost = sorted(set(range(60)) - set(indices))
    assert 0 < len(lost) < 30
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert (lost[-1] + 1) % 12 == 0  # up to a key frame
    assert f"damaged at frame {lost[0]} (" in damage
    for frame in frames:
        assert np.abs(frame.pixels.astype(int) - made[frame.index]).mean() < 12


def test_more_frames_than_allowed_are_not_read_whatever_the_header_says(tmp_path, make_video):
    path = make_video(tmp_path / "a.ts", panning(30), "mpeg2video", "yuv420p")
    with pytest.raises(UnblurError, match=r"at most 10 are read|more than 10 frames"):
        list(read_frames(path, max_frames=10))


def test_a_refused_header_is_told_before_anything_is_read(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", panning(3))
    with pytest.raises(UnblurError, match=r"a\.mkv: frames of"):
        next(read_frames(path, max_pixels=100))


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.mp4", "libx264"), ("a.ts", "libx264")])
def test_the_frame_at_a_moment_is_the_one_that_is_shown_then(tmp_path, make_video, name, codec):
    pixels = "bgr0" if codec == "ffv1" else "yuv420p"
    clip = make_video(tmp_path / name, panning(20), codec, pixels, g="6")  # so that it is sought from a key frame on
    shown = [frame.pixels for frame in read(clip)[0]]
    rate = check_video_header(clip).rate
    for number in (0, 1, 7, 12, 19):
        for within in (0.0, 0.5, 0.9):  # of the time for which it is shown
            np.testing.assert_array_equal(frame_at(clip, (number + within) / rate), shown[number])
    with pytest.raises(UnblurError, match=f"ends after {20 / rate:.2f} s, and was asked for what is shown at 60 s"):
        frame_at(clip, 60.0)
    with pytest.raises(UnblurError, match=r"\(64 x 48\), at most"):
        frame_at(clip, 0.0, max_pixels=100)


def test_a_frame_that_stays_long_is_the_one_at_each_moment_of_it(tmp_path):
    clip = tmp_path / "slow.mkv"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for number, at in enumerate((0, 1, 60, 61)):  # two seconds between the second and the third
            frame = av.VideoFrame.from_ndarray(panning(4)[number], format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for seconds, number in ((0.0, 0), (0.04, 1), (1.5, 1), (2.0, 2), (2.04, 3)):
        np.testing.assert_array_equal(frame_at(clip, seconds), panning(4)[number])
