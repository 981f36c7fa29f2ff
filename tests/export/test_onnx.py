import onnx
import pytest
import torch
from torch import nn

from unblur.errors import UnblurError
from unblur.export.onnx import export_onnx

pytestmark = pytest.mark.slow


def shape_of(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_one_checked_file_with_named_free_sizes(files):
    model = onnx.load(files["onnx"], load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [path.name for path in files["onnx"].parent.glob("*onnx*")] == ["model.onnx"]
    assert [(value.name, shape_of(value)) for value in model.graph.input] == [("blur", ["batch", 3, "height", "width"])]
    assert [(value.name, shape_of(value)) for value in model.graph.output] == [
        ("restored", ["batch", 3, "height", "width"])
    ]
    assert {item.domain: item.version for item in model.opset_import}[""] == 18
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_blocks_are_folded_before_they_are_written(files):
    operators = {node.op_type for node in onnx.load(files["onnx"]).graph.node}
    assert not operators & {"LayerNormalization", "Transpose", "Split"}


def test_nothing_about_this_machines_source_files_is_inside(files):
    content = files["onnx"].read_bytes()
    assert b"nafnet.py" not in content
    assert b"stack_trace" not in content


class Spectrum(nn.Module):
    """A network that ONNX cannot hold."""

    def forward(self, x):
        return torch.linalg.eigvals(x[..., :2, :2]).real + x[..., :2, :1].squeeze(-1)


def test_a_network_that_does_not_export_is_told_in_one_line_and_leaves_no_file(tmp_path):
    with pytest.raises(UnblurError, match="Spectrum cannot be exported to ONNX with opset 18") as caught:
        export_onnx(Spectrum().eval(), tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
