"""Configuration may build what describes a run, and nothing else."""

import pytest
import torch

from unblur.config.instantiate import instantiate, resolve_target
from unblur.errors import UnblurError


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "torch.nn.functional.torch.load",
        "torch.hub.load",
        "torch.nn.Linear",
        "builtins.open",
        "builtins.eval",
        "os.system",
        "subprocess.Popen",
        "pip._internal.main",
        "urllib.request.urlretrieve",
        "lightning.pytorch.LightningModule.load_from_checkpoint",
        "unblur.data.images.write_png",
        "unblur.config.instantiate.instantiate",
        "unblur.stages.compose.main",
        "unblur.training.fit.shutil.rmtree",
        "unblur.errors.UnblurError",
        "unblur.ingest.imported.Imported",
    ],
)
def test_refuses_what_is_not_a_part_of_a_run(target):
    with pytest.raises(UnblurError, match="refused"):
        instantiate({"_target_": target})


def test_refuses_a_bad_target_deep_inside():
    node = {"_target_": "unblur.networks.nafnet.NAFNet", "width": {"a": [{"_target_": "os.system", "command": "true"}]}}
    with pytest.raises(UnblurError, match=r"os\.system"):
        instantiate(node)


@pytest.mark.parametrize(
    "target",
    [
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.CosineAnnealingLR",
        "lightning.pytorch.Trainer",
        "lightning.Trainer",
        "lightning.pytorch.callbacks.EMAWeightAveraging",
        "lightning.pytorch.loggers.MLFlowLogger",
        "torchmetrics.MeanMetric",
        "albumentations.HorizontalFlip",
        "unblur.ingest.sources.imported_pairs.ImportedPairs",
        "unblur.networks.nafnet.NAFNet",
        "unblur.training.schedule.WarmupCosine",
    ],
)
def test_allows_the_parts_of_a_run(target):
    assert isinstance(resolve_target(target), type)


def test_builds_with_extra_objects_uncopied():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = instantiate({"_target_": "torch.optim.AdamW", "lr": 0.5}, params=[parameter])
    assert optimizer.param_groups[0]["params"][0] is parameter
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_partial_is_built_later():
    make = instantiate({"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.25})
    assert make([torch.nn.Parameter(torch.ones(1))]).param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"width": 8}, "_target_"),
        ({"_target_": "unblur.networks.nafnet.NAFnet"}, "did you mean 'NAFNet'"),
        ({"_target_": "unblur.networks.nafnt.NAFNet"}, "nafnt"),
        ({"_target_": "unblur.networks.nafnet.NAFNet", "widht": 8}, "did you mean 'width'"),
        ({"_target_": 3}, "refused"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(node, message):
    with pytest.raises(UnblurError, match=message) as caught:
        instantiate(node)
    assert "\n" not in str(caught.value)
