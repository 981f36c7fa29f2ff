"""Every experiment and every debug preset composes and runs a step."""

from pathlib import Path

import pytest

from unblur.config.compose import checked, compose, config_dir
from unblur.config.instantiate import instantiate
from unblur.data.manifest import read_sources
from unblur.data.pairs import prepare_pairs
from unblur.errors import UnblurError
from unblur.ingest.layouts.known import LAYOUTS
from unblur.training.fit import fit

SMALL = (
    "trainer=cpu",
    "logger=none",
    "data.patch_size=16",
    "data.batch_size=1",
    "data.num_workers=0",
    "data.min_side=16",
)


PROGRESSIVE = ("data.progressive.until=[1]", "data.progressive.patch=[16]", "data.progressive.batch=[1]")

# Imported datasets are not here: the photographs of the project take their place, and the networks' small sizes theirs.
LIGHT = {
    "gopro_nafnet": ("data=starter", "model=nafnet_tiny"),
    "gopro_nafnet32": ("data=starter", "model=nafnet_tiny"),
    "gopro_nafnet64": ("data=starter", "model=nafnet_tiny"),
    "gopro_uformer": ("data=starter", "model=uformer_tiny", "data.patch_size=16", "data.num_workers=0"),
    "gopro_restormer": ("data=starter", "model=restormer_tiny", *PROGRESSIVE),
    "bsd_estrnn": ("data=starter", "data.task=video", "data.frames=3", "blur=video", "model=estrnn_tiny"),
    "starter_clips": ("data=starter", "data.task=video", "data.frames=3", "blur=video", "model=estrnn_tiny"),
    "box": ("data=starter", "model=maxim_tiny"),
    "burst": ("data=starter", "data.task=burst", "data.frames=3", "model=burst_tiny"),
}


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


@pytest.mark.contract
@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_runs(project, experiment):
    cfg = checked(compose([f"experiment={experiment}", *SMALL, *LIGHT.get(experiment, ()), "debug=fast_dev_run"]))
    if cfg.data.task != "image":
        pairs = {"pairs_per_photo": {"val": 1}, "max_side": {"val": 32}, "seed": 0}
        recipe = instantiate(compose([f"experiment={experiment}", f"blur={cfg.data.task}"]).blur)
        prepare_pairs(read_sources(project / "data"), project / "data", project / cfg.paths.prepared, recipe, **pairs)
    record = fit(cfg)
    assert record.steps == 1
    assert (project / "artifacts/debug/model/model.safetensors").is_file()
    assert not (project / "artifacts/train").exists()


@pytest.mark.parametrize(("experiment", "fewest"), [("starter", 1), ("starter_burst", 9), ("starter_burst", -1)])
def test_numbers_of_shots_that_cannot_be_are_refused(project, experiment, fewest):
    cfg = checked(compose([f"experiment={experiment}", *SMALL, f"data.min_frames={fewest}"]))
    if cfg.data.task == "burst":
        settings = {"pairs_per_photo": {"val": 1}, "max_side": {"val": 32}, "seed": 0}
        recipe = instantiate(cfg.blur)
        prepare_pairs(
            read_sources(project / "data"), project / "data", project / cfg.paths.prepared, recipe, **settings
        )
    with pytest.raises(UnblurError, match=rf"data.min_frames={fewest}: expected 0, or for bursts"):
        fit(cfg)


def test_training_without_pairs_names_the_stage_that_makes_them(project):
    with pytest.raises(UnblurError, match=r"manifest.csv: .*run `unblur prepare`"):
        fit(checked(compose(["experiment=starter", *SMALL, "paths.prepared=nowhere"])))


@pytest.mark.contract
@pytest.mark.slow
@pytest.mark.parametrize("debug", options("debug"))
def test_every_debug_preset_runs(project, debug):
    tiny = ("model=nafnet_tiny", "data.steps_per_epoch=3")
    record = fit(checked(compose([f"debug={debug}", *tiny, *SMALL])))
    assert record.steps == {"fast_dev_run": 1, "overfit": 100, "profile": 3}[debug]
    if debug == "overfit":
        rows = (project / "artifacts/debug/history.csv").read_text().splitlines()[1:]
        assert float(rows[-1].split(",")[1]) < float(rows[0].split(",")[1]), "one batch was not learnt by heart"


@pytest.mark.contract
@pytest.mark.parametrize("data", options("data"))
def test_every_dataset_preset_names_what_the_import_writes(data):
    cfg = checked(compose([f"data={data}"])).data
    assert cfg.name == data
    assert cfg.task in ("image", "burst", "video")
    assert (cfg.frames == 1) == (cfg.task == "image")
    if cfg.manifest is not None:
        layout = Path(cfg.manifest).stem
        assert cfg.manifest == f"data/imported/{layout}.csv"
        assert layout in LAYOUTS


@pytest.mark.contract
@pytest.mark.parametrize("trainer", options("trainer"))
def test_trainers_compose_with_valid_arguments(trainer):
    import inspect

    from lightning.pytorch import Trainer

    cfg = checked(compose([f"trainer={trainer}"]))
    assert set(cfg.trainer) - {"_target_"} <= set(inspect.signature(Trainer.__init__).parameters)
