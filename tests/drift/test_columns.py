"""Parquet files of statistics: round trip, and what is refused in one line."""

from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblur.drift.columns import MARK, SCHEMA, OtherVersionError, read_rows, write_rows
from unblur.errors import UnblurError


def test_rows_come_back_as_they_were(tmp_path, make_rows):
    rows = make_rows(20, 0)
    rows[3]["noise"] = None
    write_rows(tmp_path / "a.parquet", rows)
    found = read_rows(tmp_path / "a.parquet").to_pylist()
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    assert {row["quality"] for row in found} == {None}
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all", None])
def test_what_is_damaged_is_named(tmp_path, make_rows, content):
    path = tmp_path / "a.parquet"
    write_rows(path, make_rows(100, 0))
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(UnblurError, match=r"a\.parquet: cannot be read as Parquet") as raised:
        read_rows(path)
    assert "\n" not in str(raised.value)


def test_a_byte_that_was_changed_is_no_crash(tmp_path, make_rows):
    path = tmp_path / "a.parquet"
    write_rows(path, make_rows(100, 0))
    whole = path.read_bytes()
    for place in range(4, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(UnblurError):
            assert read_rows(path).num_rows == 100


def test_tables_of_others_and_of_other_versions(tmp_path):
    pq.write_table(pa.table({"brightness": [1.0]}), tmp_path / "foreign.parquet")
    with pytest.raises(UnblurError, match="holds no statistics"):
        read_rows(tmp_path / "foreign.parquet")
    pq.write_table(SCHEMA.empty_table().replace_schema_metadata({MARK: b"0"}), tmp_path / "old.parquet")
    with pytest.raises(OtherVersionError, match="of version 0, not 1"):
        read_rows(tmp_path / "old.parquet")
    pq.write_table(pa.table({"brightness": [1.0]}).replace_schema_metadata({MARK: b"1"}), tmp_path / "less.parquet")
    with pytest.raises(UnblurError, match="lacks columns"):
        read_rows(tmp_path / "less.parquet")
