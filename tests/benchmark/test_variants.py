import numpy as np
import pytest

from unblur.benchmark.latency import random_image
from unblur.benchmark.variants import EAGER, VARIANTS

pytestmark = pytest.mark.slow


def test_all_variants_compute_the_same_image(variant_files):
    image = random_image(21, 34)
    restored = {name: variant.load(variant_files[name], 1)(image) for name, variant in VARIANTS.items()}
    assert set(restored) == {"pytorch", "pytorch channels-last", "pytorch channels-last bf16", "onnxruntime"}
    for name, output in restored.items():
        assert output.dtype == np.float32
        tolerance = 0.05 if "bf16" in name else 1e-5
        assert np.abs(output - restored[EAGER]).max() < tolerance, name
    assert np.abs(restored["pytorch channels-last bf16"] - restored[EAGER]).max() > 1e-5  # it is really bfloat16
