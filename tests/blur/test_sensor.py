import numpy as np
import pytest

from unblur.blur.sensor import MID_GREY, SensorNoise, variance
from unblur.errors import UnblurError


@pytest.mark.parametrize("light", [0.0, 0.02, MID_GREY, 0.5, 1.0])
@pytest.mark.parametrize(("shot", "read"), [(8e-4, 0.0), (0.0, 0.01), (2e-4, 0.003)])
def test_the_variance_follows_its_model(light, shot, read):
    flat = np.full((300, 400, 3), light, np.float32)
    noisy = SensorNoise.apply(flat, {"noise_shot": shot, "noise_read": read, "noise_seed": 5})
    expected = shot * light + read**2
    # The standard error of a variance over n values is sqrt(2 / n) of it: 0.24 %; four of them.
    assert noisy.var(dtype=np.float64) == pytest.approx(expected, rel=0.01, abs=1e-15)
    assert noisy.mean(dtype=np.float64) == pytest.approx(light, abs=5 * np.sqrt(expected / flat.size) + 1e-7)


def test_noise_is_independent_from_pixel_to_pixel_and_channel_to_channel():
    noise = SensorNoise.apply(np.zeros((200, 200, 3), np.float32), {"noise_shot": 0, "noise_read": 1, "noise_seed": 1})
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


def test_at_mid_grey_the_drawn_noise_has_the_configured_standard_deviation():
    sensor = SensorNoise(0.002, 0.012, min_shot=0.6, max_shot=0.9)
    drawn = [sensor.draw(np.random.default_rng(seed)) for seed in range(300)]
    std = [float(np.sqrt(variance(np.float32(MID_GREY), one["noise_shot"], one["noise_read"]))) for one in drawn]
    assert min(std) == pytest.approx(0.002, abs=2e-4)
    assert max(std) == pytest.approx(0.012, abs=2e-4)
    shares = [one["noise_shot"] * MID_GREY / s**2 for one, s in zip(drawn, std, strict=True)]
    assert 0.599 < min(shares) < 0.65 < 0.85 < max(shares) < 0.901


def test_the_same_seed_gives_the_same_bytes(make_photo):
    linear = make_photo(20, 30).astype(np.float32) / 255
    one = SensorNoise(0.01, 0.01).draw(np.random.default_rng(3))
    two = SensorNoise(0.01, 0.01).draw(np.random.default_rng(4))
    assert SensorNoise.apply(linear, one).tobytes() == SensorNoise.apply(linear, dict(one)).tobytes()
    assert SensorNoise.apply(linear, one).tobytes() != SensorNoise.apply(linear, two).tobytes()


def test_no_noise_changes_nothing(make_photo):
    linear = make_photo(20, 30).astype(np.float32) / 255
    np.testing.assert_array_equal(SensorNoise.apply(linear, SensorNoise(0, 0).draw(np.random.default_rng(0))), linear)


@pytest.mark.parametrize("wrong", [{"min_std": 0.02}, {"min_shot": 0.99, "max_shot": 0.9}, {"max_shot": 1.2}])
def test_wrong_ranges_are_refused(wrong):
    with pytest.raises(UnblurError, match="sensor noise"):
        SensorNoise(**{"min_std": 0.001, "max_std": 0.01, **wrong})
