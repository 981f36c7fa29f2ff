"""Files behind a URL: fetched once, checked, kept within the budget. fsspec's own memory:// stands for the far side."""

import hashlib
import multiprocessing
import os
import time

import fsspec
import pytest

from unblur.data.shard_cache import ShardStore, local_folder
from unblur.data.shard_index import ShardFile
from unblur.errors import UnblurError


@pytest.fixture
def far():
    """`far(name, content)` puts a file behind memory://shelf."""
    memory = fsspec.filesystem("memory")

    def put(name, content):
        memory.pipe_file(f"/shelf/{name}", content)
        return ShardFile(name, len(content), hashlib.sha256(content).hexdigest(), 1)

    yield put
    memory.rm("/shelf", recursive=True)


def kept(folder):
    return sorted(path.name.partition("-")[2] for path in folder.glob("*.bin"))


def test_a_file_is_fetched_once_whole_and_under_its_hash(far, tmp_path):
    store = ShardStore("memory://shelf", tmp_path / "cache", 100)
    wanted = far("0.bin", b"content")
    path = store.path(wanted)
    assert path.read_bytes() == b"content"
    fsspec.filesystem("memory").rm("/shelf/0.bin")
    assert store.path(wanted) == path  # not asked for again
    other = far("0.bin", b"newer content")  # another dataset of the same name
    assert store.path(other).read_bytes() == b"newer content"
    assert path.read_bytes() == b"content"


def test_the_file_used_longest_ago_goes_when_the_budget_is_spent(far, tmp_path):
    store = ShardStore("memory://shelf", tmp_path / "cache", 30)
    files = [far(f"{index}.bin", bytes(10) + bytes([index])) for index in range(4)]
    for index in (0, 1):
        os.utime(store.path(files[index]), (index, index))
    store.path(files[0])  # used just now: 1 is the oldest
    time.sleep(0.01)
    store.path(files[2])
    assert kept(tmp_path / "cache") == ["0.bin", "2.bin"]
    store.path(files[3])
    assert kept(tmp_path / "cache") == ["2.bin", "3.bin"]
    assert not list((tmp_path / "cache").glob("*.part"))


def test_what_a_killed_process_left_goes_when_room_is_needed_and_not_what_is_being_fetched(far, tmp_path):
    store = ShardStore("memory://shelf", tmp_path / "cache", 30)
    store.path(far("0.bin", bytes(10)))
    left, fetching = (tmp_path / "cache" / f"{'0' * 16}-{name}.part" for name in ("left", "fetching"))
    mine = tmp_path / "cache" / "firmware.bin"
    for path in (left, fetching, mine):
        path.write_bytes(bytes(10))
    for path in (left, mine):
        os.utime(path, (1, 1))
    store.path(far("1.bin", bytes(10) + b"1"))
    assert not left.exists()
    assert fetching.exists()
    assert mine.exists()
    mine.unlink()
    assert kept(tmp_path / "cache") == ["1.bin"]


def test_the_table_is_never_removed(far, tmp_path):
    store = ShardStore("memory://shelf", tmp_path / "cache", 10)
    table = store.path(far("tiles.npy", bytes(9)))
    for index in range(3):
        store.path(far(f"{index}.bin", bytes(10)))
    assert table.exists()
    assert len(kept(tmp_path / "cache")) == 1


def test_a_wrong_hash_is_told_and_leaves_nothing(far, tmp_path):
    store = ShardStore("memory://shelf", tmp_path / "cache", 100)
    wanted = far("0.bin", b"content")
    far("0.bin", b"contenT")
    with pytest.raises(UnblurError, match=rf"memory://shelf/0\.bin: SHA-256 .*, expected {wanted.sha256}"):
        store.path(wanted)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]


def test_places_that_cannot_be_read_are_told_in_one_line(far, tmp_path):
    far("0.bin", b"content")
    for url, text in (
        ("memory://nowhere", "cannot be read"),
        ("gopher://x/y", "gopher"),
        (str(tmp_path), "no finished"),
    ):
        with pytest.raises(UnblurError, match=text) as caught:
            ShardStore(url, tmp_path / "cache", 100).index()
        assert "\n" not in str(caught.value)


def test_folders_are_known_by_name_and_by_url(tmp_path):
    assert local_folder(str(tmp_path)) == local_folder(f"file://{tmp_path}") == tmp_path
    assert local_folder("s3://bucket/folder") is None


def fetch(store, wanted, results):
    results.put(store.path(wanted).read_bytes()[:4])


def test_workers_that_want_one_shard_fetch_it_once(tmp_path):
    """A local HTTP server counts the requests of four processes that ask at the same time."""
    import functools
    import http.server
    import threading

    content = os.urandom(1 << 20)
    (tmp_path / "0.bin").write_bytes(content)
    asked = []

    class Slow(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            time.sleep(0.1)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Slow, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store = ShardStore(f"http://127.0.0.1:{server.server_port}", tmp_path / "cache", 1 << 30)
    wanted = ShardFile("0.bin", len(content), hashlib.sha256(content).hexdigest(), 1)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=fetch, args=(store, wanted, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert {results.get(timeout=60) for _ in workers} == {content[:4]}
    for worker in workers:
        worker.join()
    server.shutdown()
    server.server_close()
    assert asked == ["/0.bin"]
