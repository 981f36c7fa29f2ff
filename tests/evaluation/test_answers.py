"""Answers come back as they were judged: of a clip the middle frame, in 8 bits."""

import numpy as np
import pytest

from unblur.errors import UnblurError
from unblur.evaluation.answers import read_answer, shown, write_answer


@pytest.mark.parametrize("frames", [None, 1, 4, 5])
def test_what_is_read_is_what_was_shown(tmp_path, frames):
    shape = (1, 3, 8, 6) if frames is None else (1, frames, 3, 8, 6)
    restored = np.random.default_rng(0).uniform(-0.2, 1.2, shape).astype(np.float32)
    write_answer(tmp_path, "a", restored)
    found = read_answer(tmp_path, "a")
    expected = restored[0] if frames is None else restored[0, frames // 2]
    assert np.abs(found - expected.transpose(1, 2, 0).clip(0, 1)).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(found, shown(restored))
    with pytest.raises(UnblurError, match=r"b\.png"):
        read_answer(tmp_path, "b")
