import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.blur.aberration import Aberration, spot
from unblur.blur.psf import diameter, extent
from unblur.errors import UnblurError

shares = st.floats(0, 1)
planes = st.floats(-1, 1.5)


def parameters(size, coma=0.0, focus=0.0, direction=0.0):
    return {"extent": size, "coma": coma, "focus": focus, "direction": direction}


@pytest.mark.property
@given(shares, planes, st.floats(0, 12), st.floats(0, 7))
def test_the_psf_has_energy_one_is_centred_and_as_large_as_it_says(centre_of_mass, coma, focus, size, direction):
    psf = Aberration(0, 12).psf(parameters(size, coma, focus, direction))
    assert psf.min() >= 0
    assert psf.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(centre_of_mass(psf), (0, 0), atol=1e-4)
    assert size - 2 <= extent(psf, floor=1e-6) <= size + 2 * np.sqrt(2)


def test_an_extent_of_zero_is_the_identity(make_photo):
    linear = make_photo(30, 40).astype(np.float32) / 255
    lens = Aberration(0, 5, coma=(0, 1))
    np.testing.assert_array_equal(lens.apply(linear, lens.draw(np.random.default_rng(0), 0.0)), linear)


@pytest.mark.parametrize("radius", [0.2, 0.5, 0.8])
def test_at_the_paraxial_focus_light_within_a_radius_grows_with_its_power_of_two_thirds(radius):
    # A ray at height rho lands at rho^3, and within rho lies rho^2 of the light: Welford, transverse aberration.
    landed = np.abs(spot(0.0, 0.0))
    assert (landed <= radius).mean() == pytest.approx(radius ** (2 / 3), abs=0.002)


def test_the_spot_is_smallest_at_three_quarters_of_the_way_to_the_marginal_focus():
    # Circle of least confusion: a quarter of the spot's radius at the paraxial focus (Born and Wolf, section 5.3).
    sizes = {focus: diameter(spot(0.0, focus)) for focus in np.arange(0, 1.26, 0.05).round(2)}
    assert min(sizes, key=sizes.get) == 0.75
    assert sizes[0.75] / sizes[0.0] == pytest.approx(0.25, abs=0.01)


def test_coma_is_a_comet_of_60_degrees_whose_bright_head_is_the_mark():
    landed = spot(1.0, 0.0)
    assert landed.real.min() > 0
    assert np.abs(np.angle(landed)).max() == pytest.approx(np.pi / 6, abs=0.01)
    assert np.ptp(landed.real) / np.ptp(landed.imag) == pytest.approx(1.5, rel=0.03)  # three sagittal comas by two
    assert (np.abs(landed) < 0.5 * np.abs(landed).max()).mean() > 0.5


def test_the_tail_points_where_it_is_turned_to():
    lens = Aberration(0, 12)
    right, down = (lens.psf(parameters(10, coma=1.0, direction=angle)) for angle in (0.0, np.pi / 2))
    offset = np.arange(len(right)) - len(right) // 2
    assert right.sum(axis=0) @ offset**3 > 5  # skewed to the right, and not up or down
    assert right.sum(axis=1) @ offset**3 == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(down, right.T, atol=2e-4)


def test_spherical_aberration_is_round():
    psf = Aberration(0, 12).psf(parameters(9, focus=0.4))
    np.testing.assert_allclose(psf, psf.T, atol=1e-3)
    np.testing.assert_allclose(psf, psf[:, ::-1], atol=1e-3)


@pytest.mark.parametrize("coma", [(0.5, 0.2), (-0.1, 0.5), (0, 1.2), (0.3,)])
def test_a_share_of_coma_that_is_none_is_refused(coma):
    with pytest.raises(UnblurError, match="aberration, coma: got"):
        Aberration(1, 2, coma=coma)


@pytest.mark.parametrize("focus", [(1, 0), (0, float("nan")), (0, float("inf"))])
def test_a_focus_that_is_none_is_refused(focus):
    with pytest.raises(UnblurError, match="aberration, focus: got"):
        Aberration(1, 2, focus=focus)


def test_a_wrong_range_is_refused():
    with pytest.raises(UnblurError, match="aberration, extent in pixels: got the range 4 to 1"):
        Aberration(4, 1)
