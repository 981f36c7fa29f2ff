from dataclasses import asdict

import pytest

from unblur.evaluation.strata import as_nested, describe_blur, nearly_sharp_change, strata, strength_bin

MAIN = "psnr/literature"


@pytest.mark.parametrize(
    ("kind", "strength", "name"),
    [
        ("identity", 0.0, "nearly sharp"),
        ("identity", 30.0, "nearly sharp"),
        ("shake", 1.99, "nearly sharp"),
        ("shake", 2.0, "2 to 8 px"),
        ("shake", 7.99, "2 to 8 px"),
        ("shake", 8.0, "8 to 14 px"),
        ("defocus", 14.0, "8 to 14 px"),
        ("defocus", 14.01, "over 14 px"),
        ("gopro", float("nan"), "not known"),
    ],
)
def test_every_strength_has_its_bin(kind, strength, name):
    assert strength_bin(kind, strength) == name


def test_blur_in_words():
    assert describe_blur("identity", 0.3) == "no blur"
    assert describe_blur("shake", 7.23) == "shake, 7.2 px"
    assert describe_blur("gopro", float("nan")) == "gopro"


def test_means_of_each_stratum(make_scores):
    found = {(item.by, item.name): item for item in strata(make_scores(), "model", MAIN)}
    assert list(found) == [
        *(("strength", name) for name in ("nearly sharp", "2 to 8 px", "8 to 14 px", "over 14 px")),
        *(("kind", name) for name in ("defocus", "identity", "shake")),
    ]
    middle = found["strength", "8 to 14 px"]  # pairs 3 and 4: 30 and 28 dB, gains -0.25 and 3
    assert (middle.pairs, middle.improved) == (2, 1)
    assert (middle.reference, middle.value, middle.gain) == pytest.approx((29.0, 30.375, 1.375))
    assert found["kind", "shake"].gain == pytest.approx((0.5 - 0.25 + 1.5) / 3)
    assert sum(item.pairs for item in found.values() if item.by == "kind") == 6


def test_change_of_nearly_sharp_inputs(make_scores):
    assert nearly_sharp_change(strata(make_scores(), "model", MAIN)) == pytest.approx(1.5)
    blurred = [score for score in make_scores() if score.strength >= 2]
    found = strata(blurred, "model", MAIN)
    assert nearly_sharp_change(found) is None
    assert "nearly sharp" not in {item.name for item in found}


def test_nested_figures_keep_the_names(make_scores):
    nested = as_nested(strata(make_scores(), "model", MAIN))
    assert asdict(nested["strength"]["over 14 px"]) == pytest.approx(
        {"pairs": 1, "reference": 26.0, "value": 27.5, "gain": 1.5, "improved": 1}
    )
    assert set(nested["kind"]) == {"defocus", "identity", "shake"}
