from dataclasses import replace

import numpy as np
import pytest

from unblur.benchmark.candidates import REFERENCE, candidates
from unblur.benchmark.latency import random_image
from unblur.errors import UnblurError
from unblur.runtimes.openvino import has_bf16


@pytest.mark.slow
def test_all_compute_the_same_image(entered):
    image = random_image(21, 34)
    restored = {name: each.runtime.load(each.file, 1)(image) for name, each in entered.items()}
    runtimes = ["pytorch", "pytorch channels-last", "pytorch channels-last bf16"]
    runtimes += ["onnxruntime", "openvino", "openvino bf16"]
    assert list(restored) == [*(f"trained {name}" for name in runtimes), "trained_fp16 openvino bf16"]
    for name, output in restored.items():
        assert output.dtype == np.float32
        tolerance = 0.05 if "bf16" in name else 1e-5
        assert np.abs(output - restored[REFERENCE]).max() < tolerance, name
    rough = ["trained pytorch channels-last bf16"] + ["trained openvino bf16"] * has_bf16()
    for name in rough:
        assert np.abs(restored[name] - restored[REFERENCE]).max() > 1e-5  # it is really bfloat16


def test_the_reference_comes_first(paths):
    assert candidates(paths)[0].name == REFERENCE


def test_what_was_not_exported_is_told(paths, tmp_path):
    with pytest.raises(UnblurError, match=r"trained/model\.onnx is not there; run `unblur export` first"):
        candidates(replace(paths, export=str(tmp_path)))
