"""A small ONNX model, made without PyTorch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def box_onnx(tmp_path: Path) -> Callable[..., Path]:
    """`box_onnx(side=3, name="box.onnx", height="height")`: the zero-padded mean over `side` x `side` pixels."""

    def make(side: int = 3, name: str = "box.onnx", height: str | int = "height") -> Path:
        kernel = np.full((3, 1, side, side), 1 / side**2, np.float32)
        node = helper.make_node("Conv", ["blur", "kernel"], ["restored"], group=3, pads=[side // 2] * 4)
        shape = ["batch", 3, height, "width"]
        graph = helper.make_graph(
            [node],
            "box",
            [helper.make_tensor_value_info("blur", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("restored", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(kernel, "kernel")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        return path

    return make
