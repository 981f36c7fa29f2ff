import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.blur.light import to_linear, to_srgb, to_srgb8

CODES = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)


def standard(value: float) -> float:
    """IEC 61966-2-1:1999, section 5.2, in double precision."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def test_linear_light_is_the_standards():
    expected = [standard(code / 255) for code in range(256)]
    np.testing.assert_allclose(to_linear(CODES)[..., 1].ravel(), expected, rtol=2e-6)
    np.testing.assert_allclose(to_linear(CODES.astype(np.float32) / 255)[..., 0].ravel(), expected, rtol=2e-6)


def test_half_the_light_of_white_is_code_188():
    # The figure every photographer's test chart shows: 50 % reflectance is sRGB 0.7354 (code 187.5).
    assert to_srgb(np.array([0.5], np.float32))[0] == pytest.approx(1.055 * math.pow(0.5, 1 / 2.4) - 0.055, abs=1e-6)
    assert to_srgb8(np.array([0.5], np.float32))[0] == 188


def test_every_code_survives_the_round_trip():
    np.testing.assert_array_equal(to_srgb8(to_linear(CODES)), CODES)


@given(st.floats(0, 1, width=32))
def test_float_survives_the_round_trip(value):
    image = np.full((1, 1, 3), value, np.float32)
    np.testing.assert_allclose(to_srgb(to_linear(image)), image, atol=1e-6)


def test_the_table_of_bytes_agrees_with_the_formula():
    linear = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32) ** 3
    apart = np.abs(to_srgb8(linear) - to_srgb(linear) * 255)
    assert apart.max() <= 0.5 + 0.026


def test_light_beyond_the_range_is_clipped_as_a_sensor_saturates():
    beyond = np.array([-0.3, 1.7], np.float32)
    np.testing.assert_array_equal(to_srgb8(beyond), [0, 255])
    np.testing.assert_allclose(to_srgb(beyond), [0, 1], atol=1e-7)
