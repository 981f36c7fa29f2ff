import numpy as np
import pytest

from unblur.blur.optics import Defocus, aperture
from unblur.blur.psf import extent
from unblur.errors import UnblurError


def polygon_area(radius, blades):
    return blades / 2 * radius**2 * np.sin(2 * np.pi / blades)


@pytest.mark.parametrize("radius", [0.8, 1.5, 2.0, 4.0, 9.3])
def test_a_disc_covers_its_area_evenly(radius):
    psf = aperture(radius)
    assert psf.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    if radius > 1:
        assert 1 / psf.max() == pytest.approx(np.pi * radius**2, rel=0.03)  # a whole pixel holds 1 / area
    np.testing.assert_allclose(psf, psf.T, atol=1e-9)
    np.testing.assert_allclose(psf, psf[::-1], atol=1e-9)
    assert 2 * radius - 1 <= extent(psf) <= 2 * radius + 2


@pytest.mark.parametrize("blades", [3, 5, 6, 7, 9])
@pytest.mark.parametrize("rotation", [0.0, 0.4, 2.0])
def test_a_polygon_has_its_area_and_does_not_shift(blades, rotation, centre_of_mass):
    psf = aperture(8.0, blades, rotation)
    assert 1 / psf.max() == pytest.approx(polygon_area(8.0, blades), rel=0.03)
    np.testing.assert_allclose(centre_of_mass(psf), (0, 0), atol=0.03)


def test_a_polygons_corner_points_where_it_is_turned_to():
    reach = {angle: aperture(10.0, 4, angle) for angle in (0.0, np.pi / 4)}
    assert reach[0.0][11, 20] > 0  # a corner to the right, 9 pixels from the middle
    assert reach[np.pi / 4][11, 20] == 0  # an edge to the right, 7.1 pixels from the middle


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.5])
def test_up_to_half_a_pixel_it_is_the_identity(radius, make_photo):
    linear = make_photo(30, 40).astype(np.float32) / 255
    defocus = Defocus(radius, radius)
    np.testing.assert_array_equal(defocus.apply(linear, defocus.draw(np.random.default_rng(0), 1.0)), linear)


def test_all_apertures_are_drawn():
    defocus = Defocus(1, 2, blades=[0, 6, 7])
    assert {defocus.draw(np.random.default_rng(seed), 0.5)["blades"] for seed in range(40)} == {0, 6, 7}


@pytest.mark.parametrize("blades", [[], [2], [-1, 5]])
def test_an_aperture_that_is_none_is_refused(blades):
    with pytest.raises(UnblurError, match="defocus, blades"):
        Defocus(1, 2, blades=blades)


def test_a_wrong_range_is_refused():
    with pytest.raises(UnblurError, match="defocus, radius in pixels: got the range 4 to 1"):
        Defocus(4, 1)


def test_the_rims_cut_the_disc_to_a_cats_eye(centre_of_mass):
    whole, cut = aperture(8.0), aperture(8.0, vignetting=0.4)
    # Two circles of radius R whose middles are d = 2 * 0.4 R apart share 2 R^2 acos(d / 2R) - d sqrt(R^2 - d^2 / 4).
    shared = 2 * 64 * np.arccos(0.4) - 6.4 * np.sqrt(64 - 3.2**2)
    assert whole.max() / cut.max() == pytest.approx(shared / (np.pi * 64), rel=0.02)
    np.testing.assert_allclose(centre_of_mass(cut), (0, 0), atol=1e-6)
    assert np.ptp(cut.any(axis=0).nonzero()[0]) < np.ptp(cut.any(axis=1).nonzero()[0])  # narrow along the rims' shift
    np.testing.assert_allclose(aperture(8.0, vignetting=0.4, rims=np.pi / 2), cut.T, atol=1e-6)


def test_vignetting_is_drawn_only_where_it_is_asked_for():
    """A recipe without it goes on making the very blur that it made before there was any."""
    plain = Defocus(1, 4, blades=[0, 6]).draw(np.random.default_rng(3), 0.5)
    cut = Defocus(1, 4, blades=[0, 6], max_vignetting=0.4).draw(np.random.default_rng(3), 0.5)
    assert set(cut) - set(plain) == {"vignetting", "rims"}
    assert {name: cut[name] for name in plain} == plain
    assert 0 <= cut["vignetting"] <= 0.4
    np.testing.assert_array_equal(Defocus(1, 4).psf(plain), Defocus(1, 4).psf({**plain, "vignetting": 0.0}))


@pytest.mark.parametrize("vignetting", [-0.1, 1.0, float("nan")])
def test_vignetting_that_leaves_nothing_is_refused(vignetting):
    with pytest.raises(UnblurError, match="defocus, vignetting: got"):
        Defocus(1, 2, max_vignetting=vignetting)
