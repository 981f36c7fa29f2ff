import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.blur.psf import diameter, extent, splat

coordinate = st.floats(-30, 30, allow_nan=False)
paths = st.lists(st.builds(complex, coordinate, coordinate), min_size=1, max_size=40).map(np.array)


@pytest.mark.property
@given(paths)
def test_splat_has_energy_one_and_is_centred_on_its_mass(centre_of_mass, points):
    psf = splat(points)
    assert psf.shape[0] == psf.shape[1]
    assert psf.shape[0] % 2 == 1
    assert psf.min() >= 0
    assert psf.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(centre_of_mass(psf), (0, 0), atol=1e-4)


@pytest.mark.property
@given(paths, coordinate, coordinate)
def test_where_the_path_lies_does_not_matter(points, x, y):
    psf, moved = splat(points), splat(points + complex(x, y))
    assert abs(psf.shape[0] - moved.shape[0]) <= 2  # rounding may open one more ring of pixels, with nothing in it
    side = min(len(psf), len(moved))
    inner = [
        p[(len(p) - side) // 2 : (len(p) + side) // 2, (len(p) - side) // 2 : (len(p) + side) // 2]
        for p in (psf, moved)
    ]
    np.testing.assert_allclose(*inner, atol=1e-5)


def test_two_points_are_shared_bilinearly():
    # Half the light at x = -0.75, half at +0.75: a quarter of each stays in the middle column.
    expected = np.zeros((3, 3))
    expected[1] = [0.375, 0.25, 0.375]
    np.testing.assert_allclose(splat(np.array([0, 1.5 + 0j])), expected, atol=1e-7)


def test_x_is_the_column_and_y_the_row():
    psf = splat(np.array([0, 6 + 0j]))
    assert psf.sum(axis=0).nonzero()[0].tolist() == [1, 7]
    assert psf.sum(axis=1).nonzero()[0].tolist() == [4]


def test_no_motion_is_one_pixel():
    psf = splat(np.full(5, 3.7 - 1.2j))
    assert psf.max() == 1
    assert extent(psf) == 0


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 7))
def test_the_diameter_does_not_depend_on_the_direction(angle):
    line = np.linspace(0, 10, 50) * np.exp(1j * angle)
    assert diameter(line) == pytest.approx(10, rel=2e-3)
    assert 10 - 0.5 <= extent(splat(line)) <= 10 + 2
