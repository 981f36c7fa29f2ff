import csv

import pytest

from unblur.benchmark.entrants import Entrant, named
from unblur.benchmark.latency import Latency
from unblur.benchmark.memory import FreshStart
from unblur.benchmark.quality import Quality
from unblur.benchmark.runtimes import RUNTIMES
from unblur.benchmark.table import choose, join, speed_against_eager
from unblur.errors import UnblurError
from unblur.export.variants import ModelVariant
from unblur.records.latency import LatencyRow, write_latency

COLUMNS = (
    "variant,runtime,height,width,threads,median_ms,spread_ms,load_ms,first_ms,peak_mb,file_mb,"
    "psnr,ssim,colour_shift,lost_db,chosen"
)


def quality(lost):
    return Quality(psnr=30.0 - lost, ssim=0.9, lost_db=lost, colour_shift=0.1)


def row(runtime, ms, lost, height=16):
    return LatencyRow("trained", runtime, height, 6, 2, ms, 1.0, 100.0, 50.0, 90.0, 1.0, 30.0 - lost, 0.9, 0.1, lost)


def test_rows_join_what_belongs_together_and_reach_the_file(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(bytes(1_500_000))
    (tmp_path / "model" / "b").write_bytes(bytes(500_000))
    (tmp_path / "model.onnx").write_bytes(bytes(1_000_000))
    latencies = [
        Latency("trained pytorch", 8, 6, 40.0, 1.0),
        Latency("trained onnxruntime", 8, 6, 20.0, 2.0),
        Latency("trained pytorch", 16, 6, 90.0, 3.0),
        Latency("trained onnxruntime", 16, 6, 30.0, 4.0),
    ]
    fresh = {
        "trained pytorch": [FreshStart(8, 6, 3000.0, 55.0, 400.0), FreshStart(16, 6, 3000.0, 99.0, 500.0)],
        "trained onnxruntime": [FreshStart(8, 6, 200.0, 25.0, 90.0), FreshStart(16, 6, 200.0, 35.0, 120.0)],
    }
    model = ModelVariant("trained", tmp_path / "model")
    entered = named([
        Entrant(model, RUNTIMES["pytorch"], tmp_path / "model"),
        Entrant(model, RUNTIMES["onnxruntime"], tmp_path / "model.onnx"),
    ])  # fmt: skip
    found = {"trained pytorch": quality(0.0), "trained onnxruntime": quality(0.02)}
    rows = join(latencies, fresh, entered, 2, {"test": found, "val": found})
    assert [row.lost_db for row in rows] == [0.0, 0.02, 0.0, 0.02]
    assert [row.peak_mb for row in rows] == [400.0, 90.0, 500.0, 120.0]
    assert [row.file_mb for row in rows] == [2.0, 1.0, 2.0, 1.0]
    assert list(speed_against_eager(rows).values()) == [1.0, 2.0, 1.0, 3.0]

    write_latency(rows, tmp_path)
    with (tmp_path / "latency.csv").open() as stream:
        assert stream.readline().strip() == COLUMNS
        stream.seek(0)
        read = list(csv.DictReader(stream))
    assert [row["first_ms"] for row in read] == ["55.0", "25.0", "99.0", "35.0"]
    assert {row["threads"] for row in read} == {"2"}


def test_the_fastest_within_the_budget_is_chosen_at_the_largest_size():
    rows = [row("pytorch", 90, 0.0), row("exact", 50, 0.0), row("rough", 10, 0.3), row("good", 30, 0.09)]
    small = [row("exact", 1, 0.0, height=8), row("good", 2, 0.09, height=8)]
    chosen = choose([*rows, *small], [("trained", name) for name in ("exact", "rough", "good")], max_lost_db=0.1)
    assert [(each.runtime, each.height) for each in chosen if each.chosen] == [("good", 16), ("good", 8)]
    assert [
        each.runtime for each in choose(rows, [("trained", "rough"), ("trained", "exact")], 0.01) if each.chosen
    ] == ["exact"]


def test_a_budget_that_nothing_keeps_is_told():
    with pytest.raises(UnblurError, match=r"nothing loses at most 0\.1 dB .*rough 0\.300"):
        choose([row("pytorch", 90, 0.0), row("rough", 10, 0.3)], [("trained", "rough")], 0.1)


def test_a_loss_that_is_no_number_is_not_within_the_budget():
    with pytest.raises(UnblurError, match="nothing loses"):
        choose([row("broken", 10, float("nan"))], [("trained", "broken")], 0.1)


def test_what_is_restored_in_tiles_does_not_decide():
    whole, tiled = [row("a", 10, 0.0), row("b", 20, 0.0)], [row("a", 90, 0.0, 10**6), row("b", 80, 0.0, 10**6)]
    rows = choose([*whole, *tiled], [("trained", "a"), ("trained", "b")], 0.1)
    assert {each.runtime for each in rows if each.chosen} == {"a"}
