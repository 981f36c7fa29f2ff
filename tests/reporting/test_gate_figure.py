"""The drawing of the gate's strata."""

import io

import numpy as np
from PIL import Image

from unblur.records.gate import StratumRow
from unblur.reporting.gate_figure import draw_strata


def height(rows):
    picture = Image.open(io.BytesIO(draw_strata(rows, "dB")))
    assert np.asarray(picture)[..., 3].any()  # something is drawn on the transparent ground
    return picture.height


def test_strata_with_an_interval_are_drawn_and_others_left_out():
    full = StratumRow("all", 12, 25.0, 25.5, [0.5, 0.1, 0.9], [0.2, 0.3, 0.4])  # BCa may leave the mean out
    few = StratumRow("kind: rare", 2, 25.0, 25.5)
    assert height([full, few]) == height([full])
    assert height([full, full]) > height([full])
    assert height([few]) > 0
