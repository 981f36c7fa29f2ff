"""What the report of a retraining says: minutes and failures as DVC prints them, intervals, pictures, the request."""

from typing import Any

import numpy as np

from unblur.data.images import read_rgb
from unblur.registry.gate import run_gate
from unblur.registry.promote import promote
from unblur.registry.register import register
from unblur.registry.retrain_report import StageClock, cost, draw_pictures, figures, is_report, request, write_report


def test_minutes_are_those_between_the_lines_of_two_stages() -> None:
    times = iter([0.0, 60.0, 240.0, 240.0, 270.0, 270.0, 270.0])
    clock = StageClock(lambda: next(times))
    for line in (
        "Running stage 'train':",
        "epoch 1",
        "Stage 'evaluate' is cached - skipping run",
        "Running stage 'x':",
    ):
        clock.hear(line)
    clock.stop()
    assert clock.minutes == {"train": 3.0, "evaluate": 0.5, "x": 0.0}
    table = cost(clock.minutes).splitlines()
    assert table[-1] == "| all | 3.5 |"
    assert "| train | 3.0 |" in table
    assert cost({}) == ""


def test_a_failure_is_that_of_the_stage_that_ran_last() -> None:
    clock = StageClock()
    for line in ("error: of the one before\n", "Running stage 'train':\n", "error: no photograph\n", "ERROR: of DVC\n"):
        clock.hear(line)
    assert clock.failure("DVC: code 1") == "the stage train has failed: no photograph"
    clock.hear("Running stage 'evaluate':\n")
    assert clock.failure("DVC: code -15") == "the stage evaluate has failed: DVC: code -15"


def test_figures_and_pictures_compare_with_the_champion(project: Any) -> None:
    def judged(amount: float) -> Any:
        project.export(amount)
        register(project.cfg, project.root)
        record = run_gate(project.cfg, project.root)
        assert record is not None
        return record

    first = judged(0.8)
    pictures = project.root / "artifacts/retrain/report_pictures"
    assert draw_pictures(project.cfg, project.root, first, pictures, 1).startswith("### blurred, v1, truth\n")
    promote("unblur", project.root, project.root / project.cfg.paths.registry)
    second = judged(0.7)
    lines = figures(second, "dB").splitlines()
    assert "against v1 [interval]" in lines[2]
    everything = second.strata[0]
    assert everything.gain is not None
    assert everything.against is not None
    gain, low, high = everything.gain
    assert f"| all | {second.pairs} |" in lines[4]
    assert f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]" in lines[4]
    assert f"{everything.against[0]:+.3f} [" in lines[4]
    shown = draw_pictures(project.cfg, project.root, second, pictures, 2)
    assert shown.startswith("### v1, v2, truth\n")
    assert shown.count("](report_pictures/") == 2
    drawn = [read_rgb(each) for each in sorted(pictures.glob("*.png"))]
    assert all(np.ptp(each) > 200 for each in drawn)
    assert "--expect-champion 1`" in request("unblur v2", "1")


def test_a_report_is_known_by_its_marker(tmp_path: Any) -> None:
    path = tmp_path / "new" / "report.md"
    assert not is_report(path)
    write_report(path, "## Retraining: refused\n")
    assert is_report(path)
    assert path.read_text().splitlines() == ["<!-- unblur retrain -->", "## Retraining: refused"]
    path.write_text("mine")
    assert not is_report(path)
