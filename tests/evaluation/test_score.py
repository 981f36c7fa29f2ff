from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import PairRow
from unblur.data.pictures import read_pictures, write_pictures
from unblur.errors import UnblurError
from unblur.evaluation.score import Stopwatch, framewise, score
from unblur.records.scores import GUARDED, TEMPORAL

PROFILES = ["psnr/literature", "psnr/float"]


def test_blurred_input_scores_what_scikit_image_says(prepared):
    root, rows = prepared
    scores = score("blurred", lambda batch: batch, rows, root, PROFILES)
    names = [*PROFILES, GUARDED]
    assert [(item.pair, item.profile) for item in scores] == [(row.pair, name) for row in rows for name in names]
    assert not any(item.value for item in scores if item.profile == GUARDED)
    for item in scores:
        if item.profile == GUARDED:
            continue
        row = next(row for row in rows if row.pair == item.pair)
        assert (item.method, item.kind, item.strength) == ("blurred", row.kind, row.strength)
        if row.kind != "identity":
            truth, blurred = read_rgb(root / row.sharp), read_rgb(root / row.blur)
            assert item.value == pytest.approx(peak_signal_noise_ratio(truth, blurred), abs=1e-4)
        else:
            assert item.value == 100.0


def test_whole_image_goes_through_in_float(prepared):
    root, rows = prepared
    seen = []

    def darken(batch):
        seen.append((batch.shape, batch.dtype, float(batch.min()) >= 0, float(batch.max()) <= 1))
        return batch * np.float32(0.5)

    found = score("dark", darken, rows[:1], root, ["psnr/float"])
    assert seen == [((1, 3, 72, 96), np.float32, True, True)]
    half = (read_rgb(root / rows[0].sharp) / 255) * 0.5
    assert found[0].value == pytest.approx(-10 * np.log10((half**2).mean()), abs=1e-4)


def test_values_outside_the_range_are_clipped(prepared):
    root, rows = prepared
    plain = score("m", lambda batch: np.clip(batch * 3 - 1, 0, 1), rows, root, PROFILES)
    assert score("m", lambda batch: batch * 3 - 1, rows, root, PROFILES) == plain


def test_progress_sees_every_row(prepared):
    root, rows = prepared
    seen = []
    score("blurred", lambda batch: batch, rows, root, PROFILES, track=lambda items: seen.extend(items) or items)
    assert seen == rows


def test_workers_change_no_score_and_leave_the_threads(prepared):
    root, rows = prepared
    before = torch.get_num_threads()
    watch = Stopwatch(lambda batch: batch * np.float32(0.9))
    alone = score("m", watch, rows, root, PROFILES)
    together = score("m", watch, rows, root, PROFILES, workers=3)
    assert [replace(item, value=0) for item in together] == [replace(item, value=0) for item in alone]
    assert [item.value for item in together] == pytest.approx([item.value for item in alone], abs=1e-5)
    assert torch.get_num_threads() == before
    assert watch.pixels == 2 * len(rows) * 72 * 96
    with pytest.raises(UnblurError, match="photo_00"):
        score("half", lambda batch: batch[:, :, ::2], rows, root, PROFILES, workers=2)
    assert torch.get_num_threads() == before


def test_a_broken_method_is_told_with_its_pair(prepared):
    root, rows = prepared
    with pytest.raises(UnblurError, match=r"photo_00: 'half' returned \(1, 3, 36, 96\) for \(1, 3, 72, 96\)"):
        score("half", lambda batch: batch[:, :, ::2], rows, root, PROFILES)
    with pytest.raises(UnblurError, match="photo_00: 'nan' returned values that are not finite"):
        score("nan", lambda batch: batch * np.float32(np.nan), rows, root, PROFILES)


def test_a_pair_of_two_sizes_is_refused(prepared):
    root, rows = prepared
    write_png(root / rows[1].blur, np.zeros((70, 96, 3), np.uint8))
    with pytest.raises(UnblurError, match="is not what the manifest names"):
        score("blurred", lambda batch: batch, rows, root, PROFILES)
    rows = [replace(row, blur_sha256="") for row in rows]
    with pytest.raises(UnblurError, match=r"photo_01.*differ in size \(96x70 and 96x72\)"):
        score("blurred", lambda batch: batch, rows, root, PROFILES)


def test_a_manifest_cannot_lead_out_of_its_folder(prepared):
    root, rows = prepared
    with pytest.raises(UnblurError, match="leads out"):
        score("blurred", lambda batch: batch, [replace(rows[0], blur="../../secret.png")], root, PROFILES)


def test_an_unknown_profile_names_the_nearest(prepared):
    root, rows = prepared
    with pytest.raises(UnblurError, match="psnr/literature"):
        score("blurred", lambda batch: batch, rows, root, ["psnr/litrature"])


def test_stopwatch_counts_time_and_pixels():
    watch = Stopwatch(lambda batch: batch + 1)
    assert watch.seconds_per_megapixel == 0
    batch = np.zeros((2, 3, 50, 40), np.float32)
    assert (watch(batch) == 1).all()
    watch(batch)
    assert watch.pixels == 8000
    assert watch.seconds_per_megapixel == pytest.approx(watch.seconds * 125)
    assert watch.seconds > 0


@pytest.fixture
def clip(tmp_path, make_photo):
    """One video of four frames, each a little noisier than the one before."""
    rng = np.random.default_rng(0)
    sharp = np.stack([make_photo(32, 40, seed) for seed in range(4)])
    noise = rng.integers(-8, 9, sharp.shape) * np.arange(1, 5)[:, None, None, None] / 4
    write_pictures(tmp_path / "test/blur/clip", np.clip(sharp + noise, 0, 255).astype(np.uint8))
    write_pictures(tmp_path / "test/sharp/clip", sharp)
    row = PairRow("clip", "test", "s", "s.png", "test/blur/clip", "test/sharp/clip", 0, "video", 4.0, {}, "", "")
    return tmp_path, row


def test_a_video_scores_the_mean_of_its_frames_and_its_flicker(clip):
    root, row = clip
    frames = []
    found = score("blurred", lambda batch: batch, [row], root, ["psnr/literature"], per_frame=frames)
    blurred, sharp = (read_pictures(root / side) for side in (row.blur, row.sharp))
    each = [peak_signal_noise_ratio(t, b) for t, b in zip(sharp, blurred, strict=True)]
    assert [frame.pair for frame in frames] == [f"clip/{t:04d}" for t in range(4)]
    assert [frame.value for frame in frames] == pytest.approx(each, abs=1e-4)
    error = blurred.astype(float) - sharp
    flicker = np.abs(np.diff(error, axis=0)).mean()
    assert {score.profile: score.value for score in found} == pytest.approx(
        {"psnr/literature": np.mean(each), TEMPORAL: flicker, GUARDED: 0}, abs=1e-3
    )


def test_a_burst_is_scored_by_its_reference(clip):
    root, row = clip
    write_pictures(root / "test/sharp/one.png", read_pictures(root / row.sharp)[0])
    burst = replace(row, sharp="test/sharp/one.png", kind="burst")
    truth, blurred = read_rgb(root / "test/sharp/one.png"), read_pictures(root / row.blur)
    expected = pytest.approx(peak_signal_noise_ratio(truth, blurred[0]), abs=1e-4)
    for method in (framewise(lambda batch: batch), lambda batch: batch[:, 0]):
        found, guarded = score("m", method, [burst], root, ["psnr/literature"])
        assert (found.value, guarded.profile, guarded.value) == (expected, GUARDED, 0)


def test_methods_for_images_go_through_a_video_frame_by_frame(clip):
    root, row = clip
    shapes = []

    def note(batch):
        shapes.append(batch.shape)
        return batch

    score("m", framewise(note), [row], root, ["psnr/float"])
    assert shapes == [(4, 3, 32, 40)]
