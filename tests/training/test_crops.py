"""Every imported dataset with every task, from a fake of its layout to a training item and the fixed pairs."""

import pytest

from unblur.config.compose import checked, compose, config_dir
from unblur.config.instantiate import instantiate
from unblur.data.pictures import check_task
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset, write_imported
from unblur.ingest.layouts.known import LAYOUTS
from unblur.training.crops import training_crops

DATASETS = sorted({path.stem for path in (config_dir() / "data").glob("*.yaml")} - {"starter", "free"})
STILLS = {"hide", "koehler", "realblur_j", "realblur_r", "rsblur"}  # single pictures, of no sequence
TASKS = [
    (name, task) for name in DATASETS for task in ("image", "burst", "video") if name not in STILLS or task == "image"
]
SHAPES = {"image": ((3, 16, 16),) * 2, "video": ((2, 3, 16, 16),) * 2, "burst": ((2, 3, 16, 16), (3, 16, 16))}


@pytest.mark.contract
@pytest.mark.parametrize(("layout", "task"), TASKS)
def test_a_dataset_gives_items_and_pairs_of_a_task(layout, task, make_fake, tmp_path):
    root, _ = make_fake(layout)
    dataset = import_dataset(LAYOUTS[layout], root, hold_out=0.3)
    write_imported(tmp_path / "list.csv", dataset)
    frames = 1 if task == "image" else 2
    blur = [f"blur={task}"] if layout == "photos" and task != "image" else []
    sizes = ["data.patch_size=16", f"data.frames={frames}", f"data.source.manifest={tmp_path / 'list.csv'}"]
    cfg = checked(compose([f"data={layout}", f"task={task}", *sizes, *blur]))
    if layout == "koehler":  # for test alone
        with pytest.raises(UnblurError, match="holds nothing of the training split"):
            training_crops(cfg)
    else:
        item = training_crops(cfg)[0]
        assert (tuple(item["blur"].shape), tuple(item["sharp"].shape)) == SHAPES[task]
    if dataset.has_pairs:
        source = instantiate(cfg.data.source)
        rows = source.pairs(tmp_path / "out", cfg.data, cfg.check, recipe=instantiate(cfg.blur))
        assert rows
        check_task(rows, tmp_path / "out", task)
