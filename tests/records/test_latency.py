from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.records.chosen import Chosen, read_chosen, write_chosen
from unblur.records.latency import (
    Complexities,
    Complexity,
    LatencyRow,
    deployed,
    read_complexities,
    read_latency,
    write_complexities,
    write_latency,
)


def row(runtime: str, height: int, chosen: str = "") -> LatencyRow:
    return LatencyRow("trained", runtime, height, 1280, 2, 1 / 3, 1, 2, 3, 4, 5, 31.5, 0.91, 0.002, -0.001, chosen)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [row("pytorch", 720), row("onnxruntime", 720, "yes")]
    write_latency(rows, tmp_path)
    assert read_latency(tmp_path) == rows


def test_what_is_deployed_is_the_chosen_row_at_the_largest_whole_size() -> None:
    rows = [row("a", 720), row("b", 64, "yes"), row("b", 720, "yes"), row("b", 2160, "yes")]
    assert deployed(rows) == rows[2]
    assert deployed(rows[:1]) == rows[0]
    assert deployed(rows[3:]) == rows[3]


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    write_latency([row("a", 720)], tmp_path)
    path = tmp_path / "latency.csv"
    path.write_text(path.read_text().replace("peak_mb", "memory"))
    with pytest.raises(UnblurError, match=r"latency\.csv, line 2: lacks peak_mb; .* `unblur benchmark`"):
        read_latency(tmp_path)
    write_latency([], tmp_path)
    with pytest.raises(UnblurError, match="lacks any row"):
        read_latency(tmp_path)


def test_sizes_of_networks(tmp_path: Path) -> None:
    found = Complexities(10, 20, {"trained": Complexity(10, 20), "pruned": Complexity(5, 8)})
    write_complexities(found, tmp_path)
    assert read_complexities(tmp_path) == found


def test_what_was_chosen(tmp_path: Path) -> None:
    found = Chosen("trained", "float", "openvino", "f32", "trained/model.onnx", "a" * 64, "", "b" * 64, 0.001)
    write_chosen(found, tmp_path)
    assert read_chosen(tmp_path) == found
    (tmp_path / "chosen.json").write_text('{"variant": "trained"}')
    with pytest.raises(UnblurError, match=r"chosen\.json: lacks kind; write it again with `unblur benchmark`"):
        read_chosen(tmp_path)
