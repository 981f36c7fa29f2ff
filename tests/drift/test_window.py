"""What a window is read from: Parquet files, photographs, prepared pairs; and what is too little."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unblur.data.manifest import write_manifest
from unblur.data.pairs import prepare_pairs
from unblur.drift.columns import MARK, SCHEMA, write_rows
from unblur.drift.window import LEAST, columns_of, read_window
from unblur.errors import UnblurError

START = datetime(2026, 5, 1, tzinfo=UTC)


def test_files_are_put_together_in_the_order_of_time(tmp_path, make_rows):
    rows = make_rows(90, 0)
    write_rows(tmp_path / "a.parquet", rows[50:])
    write_rows(tmp_path / "below" / "b.parquet", rows[:50])
    window = read_window(tmp_path)
    np.testing.assert_array_equal(window.numbers("brightness"), [row["brightness"] for row in rows])
    assert window.models == ["a"]
    assert columns_of(window) == ["blur", "brightness", "noise", "format", "milliseconds"]


def test_since_and_until(tmp_path, make_rows):
    """Rows are a minute apart: `since` is the first moment, `until` is not in it; time zones count."""
    write_rows(tmp_path / "a.parquet", make_rows(200, 0))
    assert len(read_window(tmp_path, since=START + timedelta(minutes=100))) == 100
    window = read_window(tmp_path, START + timedelta(minutes=30), START + timedelta(minutes=100))
    assert window.rows["time"][0].as_py() == START + timedelta(minutes=30)
    assert len(window) == 70
    east = datetime(2026, 5, 1, 3, 40, tzinfo=timezone(timedelta(hours=2)))
    assert len(read_window(tmp_path, since=east)) == 100


@pytest.mark.parametrize("count", [0, 1, LEAST - 1])
def test_a_window_that_is_too_small_is_refused(tmp_path, make_rows, count):
    write_rows(tmp_path / "a.parquet", make_rows(count, 0))
    with pytest.raises(UnblurError, match=rf"{count} photographs, at least {LEAST} are needed"):
        read_window(tmp_path)


def test_nothing_at_all(tmp_path):
    with pytest.raises(UnblurError, match="no such file or folder"):
        read_window(tmp_path / "nowhere")
    with pytest.raises(UnblurError, match=r"0 photographs, at least 50"):
        read_window(tmp_path)
    with pytest.raises(UnblurError, match="leave out --since and --until"):
        read_window(tmp_path, since=START)


def test_damaged_files_and_other_versions_are_left_out_and_named(tmp_path, make_rows):
    write_rows(tmp_path / "a.parquet", make_rows(60, 0))
    (tmp_path / "b.parquet").write_bytes(b"")
    pq.write_table(SCHEMA.empty_table().replace_schema_metadata({MARK: b"7"}), tmp_path / "c.parquet")
    window = read_window(tmp_path)
    assert len(window) == 60
    assert [line.split(": ")[0] for line in window.unread] == [
        str(tmp_path / name) for name in ("b.parquet", "c.parquet")
    ]
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(UnblurError, match=r"0 photographs, .*2 files could not be read: .*b\.parquet"):
        read_window(tmp_path)


def test_values_that_are_no_numbers_do_not_count(tmp_path, make_rows):
    rows = make_rows(60, 0)
    rows[0]["noise"], rows[1]["noise"] = float("nan"), float("inf")
    write_rows(tmp_path / "a.parquet", rows)
    assert len(read_window(tmp_path).numbers("noise")) == 58


def test_a_folder_of_photographs(tmp_path, make_photo):
    for index in range(LEAST):
        Image.fromarray(make_photo(48, 64, seed=index)).save(tmp_path / f"{index:03d}.jpg", quality=77)
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    window = read_window(tmp_path)
    assert set(window.numbers("quality")) == {77}
    assert set(window.categories("format")) == {"JPEG"}
    assert len(window.unread) == 1
    assert "damaged.png" in window.unread[0]
    assert columns_of(window)[:3] == ["blur", "brightness", "contrast"]


def test_prepared_pairs_give_their_blurred_inputs_without_the_test_split(tmp_path, make_photo):
    """Size and format are those of crops in PNG, not of the photographs: they are not kept."""
    from unblur.blur.recipe import BlurRecipe
    from unblur.blur.trajectory import CameraShake
    from unblur.data.images import read_rgb
    from unblur.data.manifest import Source
    from unblur.drift.statistics import measure

    recipe = BlurRecipe({"shake": CameraShake(2.0, 6.0)}, {"shake": 1.0})
    sources = []
    for name, split in (("a", "val"), ("b", "train"), ("c", "test")):
        Image.fromarray(make_photo(48, 64, seed=ord(name))).save(tmp_path / f"{name}.png")
        sources.append(Source(f"{name}.png", split, name, "0" * 64, "CC0"))
    counts = {"val": 30, "train": 25, "test": 40}
    prepared = tmp_path / "prepared"
    rows = prepare_pairs(sources, tmp_path, prepared, recipe, pairs_per_photo=counts, max_side={}, seed=0)
    window = read_window(prepared)
    assert len(window) == 55
    chosen = sorted((row for row in rows if row.split != "test"), key=lambda row: (row.scene, row.pair))
    expected = [measure(read_rgb(prepared / row.blur))["blur"] for row in chosen]
    np.testing.assert_array_equal(window.numbers("blur"), expected)
    assert not {"megapixels", "format", "quality"} & set(columns_of(window))
    write_manifest(prepared, [row for row in rows if row.split == "test"])
    with pytest.raises(UnblurError, match="0 photographs"):
        read_window(prepared)
