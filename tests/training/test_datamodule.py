"""Training out of shards: from a folder, from S3, and on from the middle of an epoch."""

import json
import shutil

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn

from unblur.config.compose import checked, compose
from unblur.ingest.pack import pack
from unblur.training.datamodule import restoration_data
from unblur.training.fit import hash_training
from unblur.training.module import RestorationModule
from unblur.training.schedule import WarmupCosine

pytestmark = pytest.mark.pipeline


@pytest.fixture
def shards(project):
    pack(project / "data", project / "shards", tile=40, overlap=8, min_side=32, shard_bytes=20_000)
    return project / "shards"


def trained(project, folder):
    return json.loads((project / folder / "run.json").read_text())["model_sha256"]


@pytest.mark.slow
def test_training_from_s3_ends_with_the_weights_of_training_from_the_folder(project, shards, run_stage, tiny, bucket):
    shutil.rmtree(project / "data" / "photos")  # shards are all that training reads
    url = bucket(shards, "train")
    options = (*tiny, "logger=none")
    run_stage("train", *options, "data.shards=shards", "paths.train=near")
    run_stage("train", *options, f"data.shards={url}", "data.num_workers=2", "paths.train=far")
    assert trained(project, "near") == trained(project, "far")
    assert list((project / "artifacts/shard_cache").glob("*.bin"))


@pytest.mark.slow
def test_two_processes_train_from_shards(project, shards, run_stage, tiny):
    run_stage("train", *tiny, "logger=none", "data.shards=shards", "trainer=ddp_cpu", "data.num_workers=1")
    assert trained(project, "artifacts/train")


def test_what_shards_hold_decides_whether_a_training_goes_on_and_not_where_they_are(project, shards, tiny):
    def hashed(*options):
        return hash_training(checked(compose([*tiny, *options])), "manifest")

    shutil.copytree(shards, project / "moved")
    near = hashed("data.shards=shards")
    assert near == hashed("data.shards=moved", "data.shard_cache_gb=3")
    assert hashed() == hashed("data.shard_cache=elsewhere") != near
    pack(project / "data", project / "moved", tile=36, overlap=8, min_side=32)
    assert near != hashed("data.shards=moved")


class Keys(Callback):
    """What was trained on; stops in the middle of an epoch if told to."""

    def __init__(self, stop_after=None):
        self.seen, self.stop_after = [], stop_after

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append((trainer.current_epoch, batch_idx, tuple(batch["key"])))
        if len(self.seen) == self.stop_after:
            raise KeyboardInterrupt


def run(cfg, keys, folder, resume=None):
    torch.manual_seed(0)
    module = RestorationModule(
        nn.Conv2d(3, 3, 1),
        loss=nn.MSELoss(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        scheduler=lambda optimizer, total_steps: WarmupCosine(optimizer, total_steps=total_steps, min_ratio=1.0),
    )
    saver = ModelCheckpoint(folder, save_last=True, every_n_train_steps=1, save_top_k=0)
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=3, logger=False, callbacks=[keys, saver], enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=restoration_data(cfg), ckpt_path=resume, weights_only=True)
    return module.network.weight


@pytest.mark.parametrize("source", ["data.shards=shards", "data.shards=null"])
@pytest.mark.parametrize("stop_after", [2, 5, 7, 10])
def test_a_training_goes_on_from_the_middle_of_an_epoch(project, shards, tiny, source, stop_after):
    """Epochs have four steps. The checkpoint of the last step begun is not written any more: 1, 4, 6 and 9 are."""
    cfg = checked(compose([*tiny, source]))
    straight, first, rest = Keys(), Keys(stop_after), Keys()
    weight = run(cfg, straight, project / "straight")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(cfg, first, project / "stopped")
    resumed = run(cfg, rest, project / "resumed", resume=str(project / "stopped" / "last.ckpt"))
    done = len(straight.seen) - len(rest.seen)
    assert done == stop_after - 1
    assert straight.seen[:done] + rest.seen == straight.seen
    assert (resumed == weight).all()


@pytest.mark.parametrize("source", ["data.shards=shards", "data.shards=null"])
def test_batches_are_mixed_only_if_asked_for(project, shards, tiny, source):
    def batches(*options):
        return list(restoration_data(checked(compose([*tiny, source, *options]))).train_dataloader())

    rich = ("augment=rich", "augment.cutblur=1.0")
    usual, mixed = batches(*rich, "augment.cutblur=0", "augment.mixup=0"), batches(*rich, "augment.mixup=0")
    for one, two in zip(usual, mixed, strict=True):
        assert one["key"] == two["key"]
        assert torch.equal(one["sharp"], two["sharp"])
        assert not torch.equal(one["blur"], two["blur"])
    assert all("+" in key for batch in batches("augment=rich", "augment.mixup=1.0") for key in batch["key"])
    assert not any("+" in key for batch in batches() for key in batch["key"])


def test_a_curriculum_begins_with_weak_blur(project, tiny):
    from unblur.config.compose import checked, compose
    from unblur.training.crops import training_crops

    weak = training_crops(checked(compose([*tiny, "data.severity.start=0", "data.severity.samples=1000"])))
    full = training_crops(checked(compose(tiny)))
    error = {name: [float((item["blur"] - item["sharp"]).abs().mean()) for item in map(crops.__getitem__, range(40))]
             for name, crops in {"weak": weak, "full": full}.items()}  # fmt: skip
    assert sum(error["weak"]) < 0.7 * sum(error["full"])
