import pytest
import torch

from unblur.errors import UnblurError
from unblur.export.formats import export_model


def test_an_unknown_format_gets_the_nearest(tmp_path):
    with pytest.raises(UnblurError, match="unknown export format 'onx'; did you mean 'onnx'"):
        export_model(torch.nn.Identity(), ["onx"], tmp_path, opset=18)


@pytest.mark.slow
def test_a_format_is_the_suffix_of_its_file(files):
    names = {"onnx": "model.onnx", "openvino": "model.xml", "pt2": "model.pt2"}
    assert {name: path.name for name, path in files.items()} == names
