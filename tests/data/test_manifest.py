import csv
import json
from dataclasses import replace

import pytest

from unblur.data.manifest import PairRow, Source, read_manifest, read_sources, write_manifest, write_source_index
from unblur.errors import UnblurError

ENTRY = {"file": "photos/coffee.png", "split": "test", "scene": "coffee", "licence": 'CC0, "free"', "sha256": "ab" * 32}
ROW = PairRow(
    pair="coffee_03",
    split="test",
    scene="coffee, black",
    source="photos/coffee.png",
    blur="test/blur/coffee_03.png",
    sharp="test/sharp/coffee_03.png",
    seed=1234567,
    kind="shake",
    strength=0.1 + 0.2,
    parameters={"extent": 1 / 3, "trajectory_seed": 2**31 - 1, "crop_top": 0},
    blur_sha256="cd" * 32,
    sharp_sha256="ef" * 32,
)


def write_list(root, entries):
    (root / "SOURCES.json").write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return root


def test_the_manifest_keeps_every_number_exactly(tmp_path):
    write_manifest(tmp_path, [ROW, ROW])
    assert read_manifest(tmp_path) == [ROW, ROW]
    assert type(read_manifest(tmp_path)[0].parameters["trajectory_seed"]) is int


def test_sources_are_read_videos_are_left_out_and_a_scene_is_made_up(tmp_path):
    alone = {key: value for key, value in ENTRY.items() if key != "scene"} | {"file": "photos/rocket.jpg"}
    video = {"file": "videos/bikes.mp4", "scene": "bikes", "licence": "CC0", "sha256": "0" * 64}
    assert read_sources(write_list(tmp_path, [ENTRY, alone, video])) == [
        Source("photos/coffee.png", "test", "coffee", "ab" * 32, 'CC0, "free"'),
        Source("photos/rocket.jpg", "test", "rocket", "ab" * 32, 'CC0, "free"'),
    ]


def test_the_source_index_has_a_line_a_photograph(tmp_path):
    sources = read_sources(write_list(tmp_path, [ENTRY]))
    write_source_index(tmp_path, sources)
    with (tmp_path / "sources.csv").open() as stream:
        assert [Source(**line) for line in csv.DictReader(stream)] == sources


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ("{", "not a JSON file"),
        ({"file": "x"}, "expected a list of objects"),
        (["photos/a.png"], "expected a list of objects"),
        (
            [ENTRY | {"split": "training"}],
            "photos/coffee.png has the split 'training'; expected one of train, val, test",
        ),
        ([ENTRY | {"sha256": ""}], "'photos/coffee.png' lacks sha256"),
        ([ENTRY, ENTRY | {"file": "b.png", "split": "train"}], "scene 'coffee' lies in test and train"),
    ],
)
def test_a_broken_list_is_told_in_one_line(tmp_path, entries, says):
    with pytest.raises(UnblurError) as error:
        read_sources(write_list(tmp_path, entries))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing_says_which_command_makes_it(tmp_path):
    with pytest.raises(UnblurError, match="unblur data starter"):
        read_sources(tmp_path)
    with pytest.raises(UnblurError, match="unblur prepare"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("1234567", "many", "line 3: invalid literal"),
        ("{", "[", "line 3"),
        (",kind,", ",sort,", "lacks the columns kind"),
        ('"{""extent""', "7", "line 3"),
    ],
)
def test_a_broken_manifest_names_the_line(tmp_path, before, after, says):
    write_manifest(tmp_path, [ROW, ROW])
    path = tmp_path / "manifest.csv"
    text = path.read_text()
    at = text.index(before) if before == ",kind," else text.rindex(before)
    path.write_text(text[:at] + after + text[at + len(before) :])
    with pytest.raises(UnblurError, match=says):
        read_manifest(tmp_path)


@pytest.mark.parametrize("field", ["pair", "split"])
def test_a_row_whose_name_leads_out_of_the_folder_is_refused(tmp_path, field):
    write_manifest(tmp_path, [ROW, replace(ROW, **{field: "../../../esc"})])
    with pytest.raises(UnblurError, match=r"manifest\.csv, line 3: .*\.\./esc"):
        read_manifest(tmp_path)
