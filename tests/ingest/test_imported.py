"""A manifest of files that stay where they are: hashes, held-out scenes, names, and what is said when it breaks."""

import json
import math

import pytest

from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset, read_imported, summary, write_imported
from unblur.ingest.layouts.known import LAYOUTS
from unblur.safety.hashing import sha256_file


@pytest.mark.contract
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_comes_back_from_its_manifest_and_nothing_is_touched(name, make_fake, tmp_path):
    root, _ = make_fake(name)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    dataset = import_dataset(LAYOUTS[name], root)
    write_imported(tmp_path / "out" / "made.csv", dataset)
    found = read_imported(tmp_path / "out" / "made.csv")
    assert [row.pair for row in found.rows] == [row.pair for row in dataset.rows]
    assert len({row.pair for row in found.rows}) == len(found.rows)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    for row in found.rows:
        assert math.isnan(row.strength) == (name != "averaged")
        assert (row.kind, row.sharp_sha256) == (name, sha256_file(root / row.sharp))
        assert row.blur_sha256 == (sha256_file(root / row.blur) if row.blur else "")
        assert "/" not in row.pair
    assert found.has_pairs == (name not in ("photos", "videos"))
    assert len(found.sources()) == (0 if found.has_pairs else len(found.rows))


def test_whole_scenes_are_held_out_where_the_dataset_has_no_validation(make_fake):
    root, _ = make_fake("gopro")
    split_of = {row.scene: row.split for row in import_dataset(LAYOUTS["gopro"], root).rows}
    assert sorted(split_of.values()) == ["test", "train", "val"]
    assert split_of["GOPR0384_11_00"] == "test"
    assert split_of == {row.scene: row.split for row in import_dataset(LAYOUTS["gopro"], root).rows}
    kept = import_dataset(LAYOUTS["gopro"], root, hold_out=0)
    assert {row.split for row in kept.rows} == {"train", "test"}


def test_a_published_validation_is_kept_and_a_missing_test_is_held_out(make_fake):
    root, counts = make_fake("reds")
    rows = import_dataset(LAYOUTS["reds"], root).rows
    assert sum(row.split == "val" for row in rows) == counts["val"]
    assert len({row.scene for row in rows if row.split == "test"}) == 1
    assert len({row.scene for row in rows if row.split == "train"}) == 1


def test_a_set_for_test_alone_stays_so(make_fake):
    assert {row.split for row in import_dataset(LAYOUTS["koehler"], make_fake("koehler")[0]).rows} == {"test"}


def test_the_summary_counts_scenes_rows_and_sizes(make_fake):
    dataset = import_dataset(LAYOUTS["gopro"], make_fake("gopro")[0])
    sizes = [(1280, 720)] * 8 + [(640, 360)]
    assert summary(dataset, sizes)[2] == ["test", "1", "3", "1280 x 720, 640 x 360"]


def test_the_root_may_have_moved_and_a_lost_one_is_told(make_fake, tmp_path):
    root, _ = make_fake("gopro")
    write_imported(tmp_path / "g.csv", import_dataset(LAYOUTS["gopro"], root))
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(UnblurError, match=r"is not there; say with data\.source\.root=FOLDER"):
        read_imported(tmp_path / "g.csv")
    assert read_imported(tmp_path / "g.csv", tmp_path / "elsewhere").root == tmp_path / "elsewhere"


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"layout": "gopro"})])
def test_a_broken_note_beside_the_manifest_is_one_line(content, make_fake, tmp_path):
    write_imported(tmp_path / "g.csv", import_dataset(LAYOUTS["gopro"], make_fake("gopro")[0]))
    (tmp_path / "g.json").unlink() if content is None else (tmp_path / "g.json").write_text(content)
    with pytest.raises(UnblurError, match=r"g\.json: expected layout, task and root .*unblur data import"):
        read_imported(tmp_path / "g.csv")


def test_a_missing_manifest_names_the_command(tmp_path):
    with pytest.raises(UnblurError, match="run `unblur data import`"):
        read_imported(tmp_path / "none.csv")


def test_two_photographs_that_would_get_one_name_are_an_error(tmp_path, make_photo):
    from unblur.data.images import write_png

    for file in ("train/IMG_3.png", "train/IMG_3.bmp"):
        write_png(tmp_path / file, make_photo(20, 20))
    with pytest.raises(UnblurError, match=r"IMG_3\.bmp and train/IMG_3\.png would both be called"):
        import_dataset(LAYOUTS["photos"], tmp_path)
