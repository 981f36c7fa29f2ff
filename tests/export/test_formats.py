import pytest
import torch

from unblur.errors import UnblurError
from unblur.export.formats import export_model
from unblur.export.onnx import export_onnx, opset_of
from unblur.safety.hashing import write_listing


def test_an_unknown_format_gets_the_nearest(tmp_path):
    with pytest.raises(UnblurError, match="unknown export format 'onx'; did you mean 'onnx'"):
        export_model(torch.nn.Identity(), ["onx"], tmp_path, opset=18)


@pytest.mark.slow
def test_a_format_is_the_suffix_of_its_file(files):
    names = {"onnx": "model.onnx", "openvino": "model.xml", "pt2": "model.pt2"}
    assert {name: path.name for name, path in files.items()} == names


@pytest.mark.slow
def test_a_graph_that_was_traced_before_is_taken_as_it_is(tmp_path):
    """Another network's graph, so that a second tracing would show."""
    traced = tmp_path / "before" / "model.onnx"
    export_onnx(torch.nn.Conv2d(3, 3, 3, padding=1).eval(), traced, opset=20)
    write_listing([traced], traced.parent)
    assert opset_of(traced) == 20
    onnx_file, openvino_file = export_model(torch.nn.Identity(), ["onnx", "openvino"], tmp_path / "new", 20, traced)
    assert onnx_file.read_bytes() == traced.read_bytes()
    assert 'type="Convolution"' in openvino_file.read_text(encoding="utf-8")
    traced.write_bytes(traced.read_bytes() + b"\n")
    with pytest.raises(UnblurError, match=r"model\.onnx"):
        export_model(torch.nn.Identity(), ["onnx"], tmp_path / "other", 20, traced)
