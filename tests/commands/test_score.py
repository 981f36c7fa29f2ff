"""`unblur score` as a process, on an ONNX model made here: the table, the file, and one line for a mistake."""

import json
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from unblur.data.images import write_png


@pytest.fixture
def pairs(tmp_path, make_photo):
    """Two pairs whose truth is their blurred picture at 0.8 of its brightness."""
    for index in range(2):
        blurred = cv2.blur(make_photo(48, 64, seed=index), (5, 5))
        write_png(tmp_path / "pairs" / "blur" / f"p{index}.png", blurred)
        write_png(tmp_path / "pairs" / "sharp" / f"p{index}.png", np.rint(blurred * 0.8).astype(np.uint8))
    return tmp_path / "pairs"


@pytest.fixture
def model(tmp_path):
    """Returns 0.8 of its input."""
    shape = ["batch", 3, "height", "width"]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("blur", "restored")]
    factor = numpy_helper.from_array(np.array(0.8, np.float32), "factor")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["blur", "factor"], ["restored"])], "dim", ends[:1], ends[1:], [factor]
    )
    path = tmp_path / "dim.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def score(*arguments):
    command = [sys.executable, "-m", "unblur.commands.score", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_table_file_and_panels(model, pairs, tmp_path):
    out = tmp_path / "out" / "scores.json"
    done = score(model, pairs, "--out", out, "--panels", tmp_path / "panels", "--precision", "f32")
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert (found["model"], found["profile"], found["tile"]) == ("dim.onnx", "psnr/aligned", 0)
    assert [pair["pair"] for pair in found["pairs"]] == ["p0", "p1"]
    assert all(pair["restored"] > 60 > 30 > pair["blurred"] for pair in found["pairs"])
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert [row[0] for row in cells] == ["p0", "p1", "mean", f"worst: {found['mean']['worst']}"]
    for row, pair in zip(cells, (*found["pairs"], found["mean"]), strict=False):
        assert row[1:4] == [f"{pair['blurred']:.2f}", f"{pair['restored']:.2f}", f"{pair['gain']:+.2f}"]
    assert sorted(path.name for path in (tmp_path / "panels").glob("*.png")) == ["p0.png", "p1.png"]


def test_files_of_ones_own_are_left_alone(model, pairs, tmp_path):
    for name in ("mine.json", "mine.csv", "own/p0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"mine": 1}')
        option = "--panels" if name.startswith("own") else "--out"
        place = tmp_path / ("own" if option == "--panels" else name)
        done = score(model, pairs, option, place)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "--overwrite" in done.stderr
        assert (tmp_path / name).read_text() == '{"mine": 1}'
        assert score(model, pairs, option, place, "--overwrite", "--precision", "f32").returncode == 0
        again = score(model, pairs, option, place, "--precision", "f32")  # ours by now
        assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--profile", "psnr/aline"), 1, "did you mean 'psnr/aligned'"),
        (("--out", "scores.txt"), 2, "ends in .csv or .json"),
        (("--tile", "16"), 2, "tile 16 with overlap 64"),
    ],
)
def test_a_mistake_is_one_line(model, pairs, arguments, code, message):
    done = score(model, pairs, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
