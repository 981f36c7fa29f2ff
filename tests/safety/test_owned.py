"""What unblur did not make is never deleted or overwritten, and a failure leaves what was there."""

import json
from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.safety.owned import MARKER, OVERWRITE, check_replaceable, claim_folder, owned_folder, read_marker


def make(folder, command="export", text="new", settings=None, **options):
    with owned_folder(folder, command, settings or {}, **options) as new:
        (new / "a.txt").write_text(text)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_an_empty_and_an_own_folder_are_written(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new" / "deep", tmp_path / "empty"):
        make(folder)
        (folder / ".DS_Store").touch()  # of a file manager
        make(folder, text="again", settings={"a": 1})
        assert tree(folder).keys() == {"a.txt", MARKER}
        assert (folder / "a.txt").read_text() == "again"
        assert [path.name for path in folder.parent.iterdir() if path.name.endswith(".part")] == []


def test_the_marker_has_no_time_and_no_place(tmp_path):
    for name in "ab":
        make(tmp_path / name, settings={"size": 3})
    assert (tmp_path / "a" / MARKER).read_bytes() == (tmp_path / "b" / MARKER).read_bytes()
    assert read_marker(tmp_path / "a").files == ("a.txt",)


@pytest.mark.parametrize("name", ["mine.png", "deep/mine.png", ".hidden", "a.txt"])
def test_a_strangers_folder_is_left_alone(tmp_path, name):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_bytes(b"mine")
    before = tree(tmp_path)
    for refused in (lambda: make(tmp_path / "out"), lambda: claim_folder(tmp_path / "out", "report")):
        with pytest.raises(UnblurError, match=rf"out: holds {name} and no \.unblur\.json of .*--overwrite"):
            refused()
        assert tree(tmp_path) == before
    make(tmp_path / "out", overwrite=True)
    assert tree(tmp_path / "out").keys() == {"a.txt", MARKER}


def test_what_was_put_beside_our_files_is_not_deleted(tmp_path):
    make(tmp_path / "out")
    (tmp_path / "out" / "notes.md").write_text("mine")
    with pytest.raises(UnblurError, match=r"holds notes\.md beside what `unblur export` wrote"):
        make(tmp_path / "out")


def test_another_commands_folder_is_refused(tmp_path):
    make(tmp_path / "out", "prepare")
    with pytest.raises(UnblurError, match="was written by `unblur prepare`"):
        make(tmp_path / "out", "export")


def test_what_keeps_is_not_replaced_by_other_settings(tmp_path):
    make(tmp_path / "out", settings={"of": 1}, keeps=True)
    make(tmp_path / "out", settings={"of": 1}, keeps=True)
    with pytest.raises(UnblurError, match="from something else"):
        make(tmp_path / "out", settings={"of": 2}, keeps=True)
    claim_folder(tmp_path / "shards", "data pack", {"tile": 1})
    (tmp_path / "shards" / "0.bin").touch()
    claim_folder(tmp_path / "shards", "data pack", {"tile": 1})
    with pytest.raises(UnblurError, match="from something else"):
        claim_folder(tmp_path / "shards", "data pack", {"tile": 2})


def test_inputs_and_the_working_folder_are_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    monkeypatch.setenv(OVERWRITE, "1")
    for folder, inside in ((tmp_path / "data", [tmp_path / "data" / "deep"]), (tmp_path / "data", [tmp_path / "data"])):
        with pytest.raises(UnblurError, match="which would be replaced with it"):
            make(folder, inputs=inside)
    monkeypatch.chdir(tmp_path / "data" / "deep")
    with pytest.raises(UnblurError, match="which would be replaced with it"):
        make(tmp_path / "data")


def test_a_failure_keeps_what_was_there_and_leaves_nothing(tmp_path):
    make(tmp_path / "out")

    def fail():
        with owned_folder(tmp_path / "out", "export", {}) as new:
            (new / "half.txt").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_exchange_that_was_killed_is_undone(tmp_path, monkeypatch):
    make(tmp_path / "out")
    kept = type(tmp_path).rename
    moved = []

    def killed(self, target):  # the power goes after the first of the two renames
        if moved:
            raise SystemExit
        moved.append(target)
        return kept(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", killed)
    with pytest.raises(SystemExit):
        make(tmp_path / "out", text="other")
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    with pytest.raises(UnblurError, match="was written by `unblur export`"):
        make(tmp_path / "out", "prune")
    assert (tmp_path / "out" / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_mounted_disk_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    with pytest.raises(UnblurError, match="disk: is a disk of its own"), owned_folder(tmp_path / "disk", "export", {}):
        pytest.fail("the work began")
    with owned_folder(tmp_path / "disk/in", "export", {}) as new:
        (new / "a").touch()


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    make(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "a.txt").read_text() == "new"


def test_a_broken_marker_vouches_for_nothing(tmp_path):
    make(tmp_path / "out")
    for content in ("", "[]", "{}", json.dumps({"command": "export"})):
        (tmp_path / "out" / MARKER).write_text(content)
        with pytest.raises(UnblurError, match=r"no \.unblur\.json of"):
            make(tmp_path / "out")


def test_a_file_is_replaced_only_if_its_content_is_ours(tmp_path):
    file = tmp_path / "a.csv"
    check_replaceable(file, lambda path: False)
    file.write_text("mine")
    check_replaceable(file, lambda path: path.read_text() == "mine")
    with pytest.raises(UnblurError, match=r"a\.csv: is there already"):
        check_replaceable(file, lambda path: False)
    check_replaceable(file, lambda path: False, overwrite=True)
