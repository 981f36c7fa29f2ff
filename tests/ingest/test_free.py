"""The free photographs: from a server on this machine and from a folder, each checked, one line a failure."""

import hashlib
import io
import json
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from unblur.data.images import read_rgb
from unblur.data.listing import read_entries
from unblur.data.manifest import read_sources
from unblur.errors import UnblurError
from unblur.ingest.free import FreePhoto, build_free, read_free_list, reduced
from unblur.registry.card import is_share_alike


def encoded(pixels, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def shelf(tmp_path, make_photo):
    """(photos, originals on a server, folder of reduced pictures): a PNG, an odd name, and one lying on its side."""
    originals, folder, photos = tmp_path / "server", tmp_path / "reduced", []
    folder.mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6  # shown turned by 90 degrees
    for index, (path, kind, options) in enumerate(
        [("a.png", "PNG", {}), ("where is it?.jpg", "JPEG", {}), ("c.jpg", "JPEG", {"exif": turned})]
    ):
        original = encoded(make_photo(96, 128, seed=index), kind, **options)
        photo = FreePhoto(
            file=f"photos/p{index}.jpg",
            split=("train", "val", "test")[index],
            width=48 if index == 2 else 64,
            height=64 if index == 2 else 48,
            sha256="",
            category="nature",
            licence="CC-BY-SA-4.0",
            author="A. Person",
            repository=f"person/repo{index}",
            commit="c" * 40,
            path=path,
            blob=blob(original),
            stated_in="LICENSE",
        )
        place = originals / photo.repository / photo.commit / path
        place.parent.mkdir(parents=True)
        place.write_bytes(original)
        small = reduced(photo, original)
        (folder / f"p{index}.jpg").write_bytes(small)
        photos.append(replace(photo, sha256=hashlib.sha256(small).hexdigest()))
    return photos, originals, folder


@pytest.fixture
def serve(shelf):
    """The server's address and the list of paths that were asked for."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=shelf[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_the_packaged_list_is_sound():
    photos = read_free_list()
    assert len({photo.file for photo in photos}) == len({photo.sha256 for photo in photos}) == len(photos) == 324
    assert all(len(photo.blob) == len(photo.commit) == 40 and len(photo.sha256) == 64 for photo in photos)
    assert max(max(photo.width, photo.height) for photo in photos) == 1440
    splits = {}
    for photo in photos:
        splits.setdefault(photo.repository, set()).add(photo.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "val", "test"}
    assert all(photo.licence and photo.stated_in for photo in photos)
    assert sum(is_share_alike(photo.licence) for photo in photos) > 150
    odd = next(photo for photo in photos if photo.path.endswith("where-does-it-end?.jpg"))
    assert odd.place == f"fedoradesign/backgrounds/{odd.commit}/extras/where-does-it-end%3F.jpg"


def test_from_a_server(shelf, serve, tmp_path):
    photos, root = shelf[0], tmp_path / "free"
    assert build_free(photos, root, tmp_path / "cache", server=serve[0]) == []
    assert [source.scene for source in read_sources(root)] == [f"person/repo{index}" for index in range(3)]
    entry = read_entries(root / "SOURCES.json")[1]
    assert entry.author == "A. Person"
    assert entry.address == f"https://github.com/person/repo1/blob/{'c' * 40}/where%20is%20it%3F.jpg"
    assert read_rgb(root / "photos/p2.jpg").shape == (64, 48, 3)
    with Image.open(root / "photos/p0.jpg") as image:
        assert image.getexif() == {}
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # no chroma subsampling
    assert not (tmp_path / "cache" / "free.json").exists()
    asked = len(serve[1])
    assert build_free(photos, root, tmp_path / "cache", server=serve[0]) == []
    assert len(serve[1]) == asked


def test_the_reduction_is_a_lanczos_filter(make_photo, shelf):
    pixels = make_photo(96, 128, seed=5)
    small = np.asarray(Image.fromarray(pixels).resize((64, 48), Image.Resampling.LANCZOS))
    assert reduced(shelf[0][0], encoded(pixels, "PNG")) == encoded(small, "JPEG", quality=90, subsampling=0)


def test_what_another_encoder_makes_is_kept_and_listed_with_its_own_hash(shelf, serve, tmp_path):
    photos = [replace(photo, sha256="0" * 64) for photo in shelf[0]]
    root, cache = tmp_path / "free", tmp_path / "cache"
    missing = shelf[1] / photos[1].repository / photos[1].commit / photos[1].path
    content = missing.read_bytes()
    missing.unlink()
    (failure,) = build_free(photos, root, cache, server=serve[0])
    assert failure.startswith("photos/p1.jpg: http://127.0.0.1")
    assert "answered 404" in failure
    assert not (root / "SOURCES.json").exists()
    missing.write_bytes(content)
    serve[1].clear()
    assert build_free(photos, root, cache, server=serve[0]) == []
    assert len(serve[1]) == 1  # the others were kept
    for entry in read_entries(root / "SOURCES.json"):
        assert entry.sha256 == hashlib.sha256((root / entry.file).read_bytes()).hexdigest()
    (root / "photos/p0.jpg").write_bytes(b"damaged")
    serve[1].clear()
    assert build_free(photos, root, cache, server=serve[0]) == []
    assert len(serve[1]) == 1
    assert read_rgb(root / "photos/p0.jpg").shape == (48, 64, 3)


def test_an_original_that_is_another_is_told_and_nothing_written(shelf, serve, tmp_path):
    photos = [replace(shelf[0][0], blob="1" * 40), *shelf[0][1:]]
    (failure,) = build_free(photos, tmp_path / "free", tmp_path / "cache", server=serve[0])
    assert f"is git blob {shelf[0][0].blob}, expected {'1' * 40}" in failure
    assert sorted(path.name for path in (tmp_path / "free/photos").iterdir()) == ["p1.jpg", "p2.jpg"]


def test_an_original_of_other_proportions_is_told(shelf):
    with pytest.raises(UnblurError, match="128 x 96 pixels, which do not become 64 x 64"):
        reduced(replace(shelf[0][0], height=64), (shelf[1] / "person/repo0" / ("c" * 40) / "a.png").read_bytes())


def test_without_a_network_each_file_has_its_line(shelf, tmp_path):
    failures = build_free(shelf[0], tmp_path / "free", tmp_path / "cache", server="http://127.0.0.1:9")
    assert len(failures) == 3
    assert all("cannot be fetched" in failure and "--from FOLDER" in failure for failure in failures)


def test_from_a_folder(shelf, tmp_path):
    photos, _, folder = shelf
    root = tmp_path / "free"
    (folder / "p0.jpg").rename(folder / "away.jpg")
    (folder / "p2.jpg").write_bytes(b"another")
    failures = build_free(photos, root, tmp_path / "cache", folder=folder)
    assert [failure.split(":")[0] for failure in failures] == ["photos/p0.jpg", "photos/p2.jpg"]
    assert "p0.jpg is not there" in failures[0]
    assert f"expected {photos[2].sha256}" in failures[1]
    (folder / "away.jpg").rename(folder / "p0.jpg")
    (folder / "p2.jpg").write_bytes(reduced(photos[2], (shelf[1] / photos[2].place).read_bytes()))
    assert build_free(photos, root, tmp_path / "cache", folder=folder) == []
    assert [source.sha256 for source in read_sources(root)] == [photo.sha256 for photo in photos]
    assert json.loads((root / "SOURCES.json").read_text())[0]["licence"] == "CC-BY-SA-4.0"


def test_what_cannot_be_is_refused_before_anything_is_touched(shelf, tmp_path):
    photos, _, folder = shelf
    with pytest.raises(UnblurError, match="there is no such folder"):
        build_free(photos, tmp_path / "free", tmp_path / "cache", folder=tmp_path / "nowhere")
    with pytest.raises(UnblurError, match="not a server's address"):
        build_free(photos, tmp_path / "free", tmp_path / "cache", server="file:///etc")
    assert not (tmp_path / "free").exists()
    (tmp_path / "free").mkdir()
    (tmp_path / "free" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(UnblurError, match=r"1 files that are not on the list \(mine\.jpg\)"):
        build_free(photos, tmp_path / "free", tmp_path / "cache", folder=folder)
    (tmp_path / "list.csv").write_text("file,split\na,b\n")
    with pytest.raises(UnblurError, match="not a list of photographs"):
        read_free_list(tmp_path / "list.csv")
