"""Every dataset preset, from a fake of its layout to a training item of its task."""

from pathlib import Path

import pytest

from unblur.config.compose import checked, compose, config_dir
from unblur.data.pictures import check_task
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset, write_imported
from unblur.ingest.imported_pairs import bring_pairs, bring_sequences
from unblur.ingest.layouts.known import LAYOUTS
from unblur.training.crops import training_crops

PRESETS = sorted({path.stem for path in (config_dir() / "data").glob("*.yaml")} - {"starter", "free"})
SHAPES = {"image": ((3, 16, 16),) * 2, "video": ((2, 3, 16, 16),) * 2, "burst": ((2, 3, 16, 16), (3, 16, 16))}


@pytest.mark.contract
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_items_and_pairs_of_its_task(preset, make_fake, tmp_path):
    task, layout = (compose([f"data={preset}"]).data[key] for key in ("task", "manifest"))
    layout = Path(layout).stem
    root, _ = make_fake(layout)
    dataset = import_dataset(LAYOUTS[layout], root, hold_out=0.3)
    write_imported(tmp_path / "list.csv", dataset)
    frames = 1 if task == "image" else 2
    blur = [f"blur={task}"] if layout == "photos" and task != "image" else []
    sizes = ["data.patch_size=16", f"data.frames={frames}", f"data.manifest={tmp_path / 'list.csv'}"]
    cfg = checked(compose([f"data={preset}", *sizes, *blur]))
    if layout == "koehler":  # for test alone
        with pytest.raises(UnblurError, match="holds nothing of the training split"):
            training_crops(cfg)
    else:
        item = training_crops(cfg)[0]
        assert (tuple(item["blur"].shape), tuple(item["sharp"].shape)) == SHAPES[task]
    if dataset.has_pairs:
        limits = {"max_side": cfg.data.max_side, "max_pairs": cfg.data.max_pairs}
        if task == "image":
            rows = bring_pairs(dataset, tmp_path / "out", **limits)
        else:
            rows = bring_sequences(dataset, tmp_path / "out", task=task, frames=frames, **limits)
        assert rows
        check_task(rows, tmp_path / "out", task)
