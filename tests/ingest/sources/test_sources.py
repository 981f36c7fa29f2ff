"""What a source's class decides alone: which files are read, from where, and which manifests it refuses."""

import pytest

from unblur.config.compose import checked, compose
from unblur.config.instantiate import instantiate
from unblur.data.manifest import read_manifest
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset, write_imported
from unblur.ingest.layouts.known import LAYOUTS


@pytest.fixture
def imported(make_fake, tmp_path):
    """`imported("gopro")`: the manifest of a fake of that layout."""

    def make(layout):
        path = tmp_path / f"{layout}.csv"
        write_imported(path, import_dataset(LAYOUTS[layout], make_fake(layout)[0], hold_out=0.3))
        return path

    return make


def made(cfg, target):
    source = instantiate(cfg.data.source)
    return source, source.pairs(target, cfg.data, cfg.check, recipe=instantiate(cfg.blur))


def test_photographs_are_counted_and_blurred_without_those_to_exclude(project, tiny, tmp_path):
    cfg = checked(compose(tiny))
    source, rows = made(cfg, tmp_path / "pairs")
    assert source.listed() == {"train": 2, "val": 1, "test": 1}
    assert source.listed(["photos/a.png"]) == {"train": 1, "val": 1, "test": 1}
    assert rows == read_manifest(tmp_path / "pairs") == read_manifest(project / "artifacts/prepared")
    assert (source.manifest, source.inputs()) == (None, [source.folder])
    assert source.check(cfg.data, cfg.check).splits == {"test": 1, "train": 2, "val": 1}


@pytest.mark.parametrize("task", ["image", "video", "burst"])
def test_pairs_that_exist_are_copied_as_they_are(imported, tmp_path, task):
    manifest = imported("gopro")
    chosen = ["data=gopro", f"task={task}", f"data.source.manifest={manifest}", "data.min_side=16"]
    cfg = checked(compose([*chosen, *(["data.frames=3"] if task != "image" else [])]))
    source, rows = made(cfg, tmp_path / "pairs")
    assert {row.kind for row in rows} == {"gopro"}
    assert source.listed() == {"train": 3, "val": 3, "test": 3}
    assert len(rows) == (6 if task == "image" else 2)  # of three frames in a row one sequence
    assert source.inputs() == [source.folder, manifest]
    assert source.check(cfg.data, cfg.check).pictures == 18
    assert source.listed([str(rows[0].source)])["val"] == 2


def test_imported_photographs_are_blurred_by_the_recipe(imported, tmp_path):
    manifest = imported("photos")
    cfg = checked(compose(["data=photos", f"data.source.manifest={manifest}", "data.max_side={val: 24, test: 24}"]))
    source, rows = made(cfg, tmp_path / "pairs")
    assert {row.kind for row in rows} >= {"identity", "shake"}
    assert (tmp_path / "pairs/sources.csv").is_file()
    assert source.check(cfg.data, cfg.check).pictures == sum(source.listed().values())


@pytest.mark.parametrize(("data", "layout", "other"), [("photos", "gopro", "pairs"), ("pairs", "photos", "photos")])
def test_a_manifest_of_the_other_kind_is_refused_in_a_line_that_names_what_to_choose(imported, data, layout, other):
    manifest = imported(layout)
    cfg = checked(compose([f"data={data}", f"data.source.manifest={manifest}"]))
    with pytest.raises(UnblurError, match=rf"{layout}\.csv: .*choose data={other} data\.source\.manifest=") as caught:
        made(cfg, manifest.parent / "pairs")
    assert "\n" not in str(caught.value)


def test_the_files_may_lie_elsewhere_than_at_the_import(imported, tmp_path):
    manifest = imported("gopro")
    moved = (tmp_path / "fakes/gopro").rename(tmp_path / "moved")
    at = [f"data.source.manifest={manifest}", f"data.source.root={moved}"]
    assert instantiate(checked(compose(["data=gopro", *at])).data.source).folder == moved
    with pytest.raises(UnblurError, match=r"say with data\.source\.root=FOLDER"):
        instantiate(checked(compose(["data=gopro", at[0]])).data.source).listed()
