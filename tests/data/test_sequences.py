import pytest

from unblur.data.manifest import PairRow
from unblur.data.sequences import frame, scenes, unbroken
from unblur.errors import UnblurError
from unblur.ingest.imported import import_dataset
from unblur.ingest.imported_pairs import bring_sequences
from unblur.ingest.layouts.known import LAYOUTS


def rows(*frames, scene="street"):
    return [PairRow(f"{scene}_{n}", "val", scene, "", "b", "s", 0, "gopro", 0.0, {"frame": n}, "", "") for n in frames]


@pytest.mark.parametrize(
    ("frames", "runs"),
    [
        ([4, 5, 6], [[4, 5, 6]]),
        ([4, 5, 7, 8, 9], [[4, 5], [7, 8, 9]]),
        ([10, 20, 30, 50, 60], [[10, 20, 30], [50, 60]]),
        ([3], [[3]]),
        ([3, 9], [[3, 9]]),
    ],
)
def test_a_missing_frame_ends_a_sequence(frames, runs):
    assert [[frame(row) for row in run] for run in unbroken(rows(*frames))] == runs


def test_frames_are_put_in_order_scene_by_scene_and_pictures_left_out():
    picture = PairRow("a", "val", "a", "", "b", "s", 0, "pairs", 0.0, {}, "", "")
    found = scenes([*rows(9, 2, 10), picture, *rows(1, scene="park")])
    assert {name: [frame(row) for row in scene] for name, scene in found.items()} == {"street": [2, 9, 10], "park": [1]}


def test_prepared_sequences_do_not_jump_over_a_missing_frame(make_fake, tmp_path):
    root, _ = make_fake("bsd")
    for side in ("Blur", "Sharp"):
        (root / f"BSD_1ms8ms/test/000/{side}/RGB/00000001.png").rename(
            root / f"BSD_1ms8ms/test/000/{side}/RGB/00000003.png"
        )  # 0, 2, 3
    dataset = import_dataset(LAYOUTS["bsd"], root)
    options = {"task": "video", "max_side": {}, "max_pairs": {}}
    brought = bring_sequences(dataset, tmp_path / "out", frames=2, **options)
    assert [row.parameters["frame"] for row in brought if row.split == "test"] == [2]
    with pytest.raises(UnblurError, match="no 4 neighbouring frames"):
        bring_sequences(dataset, tmp_path / "out", frames=4, **options)
