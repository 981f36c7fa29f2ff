import csv

from unblur.benchmark.candidates import Candidate, named
from unblur.benchmark.latency import Latency
from unblur.benchmark.memory import FreshStart
from unblur.benchmark.quality import Quality
from unblur.benchmark.runtimes import RUNTIMES
from unblur.benchmark.table import join, speed_against_eager
from unblur.export.variants import ModelVariant
from unblur.records.latency import write_latency

COLUMNS = (
    "variant,runtime,height,width,threads,median_ms,spread_ms,load_ms,first_ms,peak_mb,file_mb,"
    "psnr,ssim,colour_shift,lost_db,chosen"
)


def quality(lost):
    return Quality(psnr=30.0 - lost, ssim=0.9, lost_db=lost, colour_shift=0.1)


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
        Candidate(model, RUNTIMES["pytorch"], tmp_path / "model"),
        Candidate(model, RUNTIMES["onnxruntime"], tmp_path / "model.onnx"),
    ])  # fmt: skip
    found = {"trained pytorch": quality(0.0), "trained onnxruntime": quality(0.02)}
    rows = join(latencies, fresh, entered, 2, found)
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
