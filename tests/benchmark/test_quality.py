import numpy as np
import pytest

from unblur.benchmark.candidates import REFERENCE
from unblur.benchmark.quality import measure_quality
from unblur.data.manifest import PairRow
from unblur.data.pictures import write_pictures


class Shifted:
    """Adds to the channels what it is told to."""

    task = "image"

    def __init__(self, *shift):
        self.shift = np.array(shift, np.float32).reshape(1, 3, 1, 1)

    def __call__(self, batch):
        return batch + self.shift


@pytest.fixture
def row(tmp_path):
    sharp = np.full((16, 16, 3), 100, np.uint8)
    for kind, picture in (("blur", sharp), ("sharp", sharp + 10)):
        (tmp_path / kind).mkdir()
        write_pictures(tmp_path / kind / "a.png", picture)
    return PairRow("a", "test", "a", "a.png", "blur/a.png", "sharp/a.png", 0, "shake", 3.0, {}, "", "")


def test_losses_and_colour_shifts_are_those_that_were_made(row, tmp_path):
    restorers = {REFERENCE: Shifted(0, 0, 0), "redder": Shifted(2 / 255, 0, 0), "worse": Shifted(*[-10 / 255] * 3)}
    found = measure_quality(restorers, [row], tmp_path)
    assert found[REFERENCE].lost_db == found[REFERENCE].colour_shift == 0
    assert found[REFERENCE].psnr == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    assert found["worse"].lost_db == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert found["redder"].lost_db < 0  # nearer to the truth
    assert found["redder"].colour_shift == pytest.approx(2, abs=1e-4)
