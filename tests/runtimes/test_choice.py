import pytest

from unblur.errors import UnblurError
from unblur.runtimes import choice as runtime_choice
from unblur.runtimes.choice import choose, remember
from unblur.runtimes.openvino import has_bf16
from unblur.runtimes.restorer import load_restorer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "unblur" / "runtimes.json"


def test_without_a_measurement_it_is_openvino_in_what_the_processor_has():
    assert choose("0" * 64) == ("openvino", "bf16" if has_bf16() else "f32")


def test_what_was_measured_on_this_machine_is_taken(monkeypatch):
    remember("a" * 64, "onnxruntime", "f32")
    remember("b" * 64, "openvino", "f32")
    assert choose("a" * 64) == ("onnxruntime", "f32")
    assert choose("b" * 64) == ("openvino", "f32")
    monkeypatch.setattr(runtime_choice, "_machine", lambda: "another processor")
    assert choose("a" * 64)[0] == "openvino"


def test_what_is_asked_for_stays():
    remember("a" * 64, "onnxruntime", "f32")
    assert choose("a" * 64, "openvino") == ("openvino", "f32")
    assert choose("a" * 64, "auto", "bf16") == ("openvino", "bf16")
    assert choose("a" * 64, "onnxruntime", "auto") == ("onnxruntime", "f32")
    assert choose("a" * 64, "auto", "auto", "cuda") == ("onnxruntime", "f32")


def test_without_openvino_it_is_onnx_runtime_unless_it_is_asked_for(monkeypatch):
    remember("a" * 64, "openvino", "f32")
    monkeypatch.setattr(runtime_choice, "is_installed", lambda module: module != "openvino")
    assert choose("a" * 64) == ("onnxruntime", "f32")
    assert choose("a" * 64, "openvino", "f32") == ("openvino", "f32")


def test_a_damaged_cache_is_no_obstacle(cache):
    cache.parent.mkdir()
    cache.write_text("{")
    assert choose("a" * 64)[0] == "openvino"
    remember("a" * 64, "onnxruntime", "f32")
    assert choose("a" * 64)[0] == "onnxruntime"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"runtime": "torch"}, r"box\.onnx: an ONNX file runs in onnxruntime or openvino, not in torch"),
        ({"runtime": "tflite"}, "unknown runtime 'tflite'; known: onnxruntime, openvino"),
        ({"runtime": "openvino", "precision": "int4"}, "unknown precision 'int4'"),
        ({"runtime": "onnxruntime", "precision": "bf16"}, "choose the runtime openvino"),
        ({"runtime": "openvino", "device": "cuda"}, "choose the runtime onnxruntime"),
        ({"device": "tensorrt"}, "has no TensorrtExecutionProvider"),
    ],
)
def test_choices_that_do_not_go_together_are_told(box_onnx, asked, told):
    with pytest.raises(UnblurError, match=told):
        load_restorer(box_onnx(), **asked)
