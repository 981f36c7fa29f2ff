"""SOURCES.json, as it is written by hand and by us."""

import json

import pytest

from unblur.data.listing import Entry, read_entries
from unblur.errors import UnblurError

PHOTO = {"file": "photos/a.png", "sha256": "0" * 64, "licence": "CC0", "split": "train"}


def test_a_photo_and_a_video(tmp_path):
    video = {"file": "videos/b.mp4", "sha256": "1" * 64, "licence": "CC0", "scene": "street"}
    (tmp_path / "SOURCES.json").write_text(json.dumps([PHOTO, video]))
    assert read_entries(tmp_path / "SOURCES.json") == [
        Entry("photos/a.png", "0" * 64, "CC0", "a", "train"),
        Entry("videos/b.mp4", "1" * 64, "CC0", "street", None),
    ]


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '["a"]', '{"file": "a"}', '[{"file": "a"}]'])
def test_anything_else_is_one_line(tmp_path, content):
    (tmp_path / "SOURCES.json").write_text(content)
    message = r"SOURCES\.json: (not a JSON file|expected a list of objects|the entry .* lacks)"
    with pytest.raises(UnblurError, match=message) as caught:
        read_entries(tmp_path / "SOURCES.json")
    assert "\n" not in str(caught.value)
