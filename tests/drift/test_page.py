"""The page of a comparison: what it says, and that any distribution can be drawn."""

import pytest

from unblur.drift.compare import compare
from unblur.drift.page import render, shown_p


@pytest.mark.parametrize(("p", "shown"), [(0.0, "< 0.0001"), (0.00012, "0.0001"), (0.25, "0.2500"), (1.0, "1.0000")])
def test_p_values(p, shown):
    assert shown_p(p) == shown


def test_names_are_escaped_and_every_statistic_has_its_drawing(make_window):
    window, reference = make_window(100, 1, format="<b>", noise=0.0), make_window(100, 0, noise=0.0)
    found = compare(window, reference)
    page = render(window, reference, found, ["a <note>"], ["run `unblur why`"])
    assert '<h1 class="harm">Drift: format</h1>' in page
    assert "&lt;b&gt; 100 %" in page
    assert "a &lt;note&gt;" in page
    assert "run <code>unblur why</code>" in page
    assert "<b>" not in page
    assert page.count("<figure>") == len(found) == 5
    assert page.count("data:image/png;base64,") == 2 * len(found)
    assert "not judged" in page  # milliseconds


def test_the_same_windows_give_the_same_bytes(make_window):
    window, reference = make_window(100, 1), make_window(100, 0)
    found = compare(window, reference)
    assert render(window, reference, found, [], []) == render(window, reference, found, [], [])
