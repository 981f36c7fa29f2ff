"""Distillation, and the pruning stage on the smallest network there is."""

import json

import pytest
import torch

from unblur.config.compose import checked, compose
from unblur.config.instantiate import instantiate
from unblur.errors import UnblurError
from unblur.networks.nafnet import NAFNet
from unblur.training.distillation import DistillationModule
from unblur.training.weights import load_model

WIDE = {"width": 8, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]}


def seeded(**settings):
    torch.manual_seed(0)
    network = NAFNet(**settings)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def module(student, teacher, **weights):
    made = DistillationModule(
        student, teacher, loss=torch.nn.L1Loss(), optimizer=torch.optim.SGD, scheduler=lambda **_: None, **weights
    )
    made.log = lambda *_, **__: None
    return made.train()


def batch():
    torch.manual_seed(1)
    return {"blur": torch.rand(2, 3, 16, 16), "sharp": torch.rand(2, 3, 16, 16), "key": ["a", "b"]}


def test_a_student_that_is_its_teacher_has_the_loss_of_training_alone():
    given = batch()
    same = module(seeded(**WIDE), seeded(**WIDE), output_weight=5.0, feature_weight=3.0).training_step(given, 0)
    alone = module(seeded(**WIDE), seeded(**WIDE), output_weight=0.0, feature_weight=0.0).training_step(given, 0)
    torch.testing.assert_close(same, alone)


def test_distances_from_the_teacher_are_added_and_only_the_student_learns():
    given, narrow = batch(), {**WIDE, "width": 4}
    made = module(seeded(**narrow), seeded(**WIDE), output_weight=2.0, feature_weight=0.0)
    with torch.no_grad():
        restored, taught = (network(given["blur"]) for network in (made.network, made._teacher[0]))
    expected = (restored - given["sharp"]).abs().mean() + 2 * (restored - taught).abs().mean()
    loss = made.training_step(given, 0)
    torch.testing.assert_close(loss, expected)
    features = module(seeded(**narrow), seeded(**WIDE), output_weight=2.0, feature_weight=1.0).training_step(given, 0)
    assert features > loss
    loss.backward()
    assert all(parameter.grad is None for parameter in made._teacher[0].parameters())
    assert len(list(made.parameters())) == len(list(made.network.parameters()))


SETTINGS = (
    "logger=none",
    "prune.target=0.7",
    "prune.multiple=2",
    "prune.blocks=1",
    "prune.finetune.epochs=2",
    "prune.rounds=2",
    "prune.batches=1",
)


@pytest.mark.pipeline
@pytest.mark.slow
def test_the_stage_writes_a_smaller_model_that_every_command_takes(project, run_stage, tiny):
    run_stage("train", *tiny, "logger=none")
    shown = run_stage("prune", *tiny, *SETTINGS).stdout
    record = json.loads((project / "artifacts/prune/prune.json").read_text())
    trained = json.loads((project / "artifacts/train/run.json").read_text())
    assert record["parent_sha256"] == trained["model_sha256"]
    assert record["macs_256"][1] <= 0.7 * record["macs_256"][0]
    assert len(record["shares"]) == len(record["val_psnr"]) == 2
    network = load_model(project / "artifacts/prune/model")
    assert sum(parameter.numel() for parameter in network.parameters()) == record["parameters"][1]
    assert "What next?" in shown
    assert not list((project / "checkpoints").glob("*"))  # what was for resuming is gone
    photo, out = project / "data/photos/a.png", project / "out.png"
    run_stage("restore", photo, out, "--model", project / "artifacts/prune/model")
    assert out.is_file()


def test_a_target_that_is_no_share_is_told(project, tiny):
    from unblur.compression.prune import prune

    cfg = checked(compose([*tiny, "prune.target=1.5"]))
    with pytest.raises(UnblurError, match=r"prune\.target=1\.5"):
        prune(cfg, seeded(**WIDE), lambda network: 1.0)


def test_a_cost_that_is_none_is_told(tiny):
    from unblur.stages.prune import cost_of

    with pytest.raises(UnblurError, match=r"prune\.cost=joules; known: macs, latency"):
        cost_of(checked(compose([*tiny, "prune.cost=joules"])))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nafnet_tiny", "estrnn_tiny"])
def test_latency_is_measured_on_the_exported_network(model, tiny):
    from unblur.stages.prune import cost_of

    cfg = checked(compose([*tiny, f"model={model}", "prune.cost=latency", "benchmark.threads=1"]))
    assert 0 < cost_of(cfg)(instantiate(cfg.model).eval()) < 60_000
    with pytest.raises(UnblurError, match="cannot be exported to ONNX"):
        cost_of(cfg)(Spectrum().eval())


class Spectrum(torch.nn.Module):
    """A network that ONNX cannot hold."""

    def forward(self, x):
        return torch.linalg.eigvals(x[..., :2, :2]).real + x[..., :2, :1].squeeze(-1)
