"""Trainings of several processes over gloo: what one process would have learnt, from each sample once."""

import csv
import json

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]


def trained(project, run_stage, overrides, folder, processes, batch):
    several = (f"trainer.devices={processes}",) if processes > 2 else ()
    trainer = ("trainer=ddp_cpu", *several) if processes > 1 else ()
    run_stage("train", *overrides, *trainer, f"data.batch_size={batch}", f"paths.train={folder}", "logger=none")
    rows = list(csv.DictReader((project / folder / "history.csv").open()))
    weights = load_file(project / folder / "model/model.safetensors")
    return rows, weights, json.loads((project / folder / "run.json").read_text())


@pytest.mark.parametrize("processes", [2, 4])
def test_the_curve_is_that_of_one_process_with_the_same_batch_in_all(project, run_stage, tiny, processes):
    """Gradients are means over four samples either way; only the order of the sums differs."""
    overrides = (*tiny, "data.steps_per_epoch=8", "train.threads=1")
    alone = trained(project, run_stage, overrides, "alone", 1, 4)
    together = trained(project, run_stage, overrides, "together", processes, 4 // processes)
    assert together[2]["steps"] == alone[2]["steps"] > 0
    assert len(together[0]) == len(alone[0]) > 1
    for one, several in zip(alone[0], together[0], strict=True):
        assert one["step"] == several["step"]
        for column in ("train_loss", "val_psnr"):
            assert float(several[column]) == pytest.approx(float(one[column]), rel=1e-4)
    one, several = (
        torch.cat([weights[name].ravel() for name in sorted(weights)]) for weights in (alone[1], together[1])
    )
    # Adam makes steps of a size also where a gradient is nothing but rounding, so single weights may differ by more.
    assert float((one - several).norm() / one.norm()) < 1e-4
