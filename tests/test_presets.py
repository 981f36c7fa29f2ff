"""Every experiment and every debug preset composes and runs a step."""

from pathlib import Path

import pytest

from unblur.config.compose import checked, compose, config_dir
from unblur.data.layouts.known import LAYOUTS
from unblur.training.fit import fit

SMALL = (
    "trainer=cpu",
    "logger=none",
    "data.patch_size=16",
    "data.batch_size=1",
    "data.num_workers=0",
    "data.min_side=16",
)


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


@pytest.mark.contract
@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_runs(project, experiment):
    record = fit(checked(compose([f"experiment={experiment}", *SMALL, "debug=fast_dev_run"])))
    assert record.steps == 1
    assert (project / "artifacts/debug/model/model.safetensors").is_file()
    assert not (project / "artifacts/train").exists()


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
