import numpy as np
import pytest

from unblur.benchmark.latency import random_image
from unblur.benchmark.variants import EAGER, VARIANTS
from unblur.restoring.openvino_session import has_bf16

pytestmark = pytest.mark.slow


def test_all_variants_compute_the_same_image(variant_files):
    image = random_image(21, 34)
    restored = {name: variant.load(variant_files[name], 1)(image) for name, variant in VARIANTS.items()}
    names = {"pytorch", "pytorch channels-last", "pytorch channels-last bf16"}
    assert set(restored) == names | {"onnxruntime", "openvino", "openvino bf16"}
    for name, output in restored.items():
        assert output.dtype == np.float32
        tolerance = 0.05 if "bf16" in name else 1e-5
        assert np.abs(output - restored[EAGER]).max() < tolerance, name
    rough = ["pytorch channels-last bf16"] + ["openvino bf16"] * has_bf16()
    for name in rough:
        assert np.abs(restored[name] - restored[EAGER]).max() > 1e-5  # it is really bfloat16
