"""Pairs of 256 x 256 a second of one worker: out of shards, against reading 1280 x 720 PNG pairs and cropping.

Run `python studies/shards.py [--data data] [--pairs 40] [--rounds 7]`; all ways take turns within each round, and
medians are compared. "cold" means that the operating system was asked to forget the files before each round. Then the
memory of reading everything once, for a tenth of the pairs and for all. `--s3` streams the shards from an S3 server on
this machine instead (moto's; `--latency` seconds are added to every request), whole shards against ranges of tiles.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset

from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.data.augment import PairedAugment
from unblur.data.datasets import as_tensor
from unblur.data.images import read_rgb
from unblur.data.manifest import read_sources
from unblur.data.sampling import StatelessSampler
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import ShardedCrops, Shards
from unblur.ingest.pack import pack

PATCH, BATCH = 256, 4
HEIGHT, WIDTH = 720, 1280
NOT_USED = BlurRecipe({"none": CameraShake(0, 0)}, {"none": 1})  # pairs bring their blur
console = Console()


class PngPairs(Dataset[Any]):
    """What training code usually does: decode two whole pictures, keep 7 % of them."""

    def __init__(self, folder: Path, augment: PairedAugment | None) -> None:
        self.names = sorted(path.name for path in (folder / "sharp").iterdir())
        self.folder, self.augment = folder, augment

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        name = self.names[index % len(self.names)]
        pair = [cv2.imread(str(self.folder / side / name)) for side in ("blur", "sharp")]
        rng = np.random.default_rng(index)
        top, left = rng.integers(HEIGHT - PATCH + 1), rng.integers(WIDTH - PATCH + 1)
        pair = [image[top : top + PATCH, left : left + PATCH] for image in pair]
        if self.augment:
            pair = self.augment(pair, index)
        return {side: as_tensor(image[..., ::-1]) for side, image in zip(("blur", "sharp"), pair, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="data root whose photographs become the pairs")
    parser.add_argument("--pairs", type=int, default=40, help="pairs of 1280 x 720 to make (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="measuring time of each way in a round")
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--latency", type=float, default=0.02, help="of each request to S3, in seconds (%(default)s)")
    options = parser.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_pairs(options.data, root / "png", options.pairs)
        started = time.perf_counter()
        shards = pack(root / "png", root / "shards", shard_bytes=64 << 20).index.shards
        seconds = time.perf_counter() - started
        ratio = sum(shard.bytes for shard in shards) / sum(path.stat().st_size for path in root.glob("png/*/*"))
        console.print(f"packed {options.pairs / seconds:.1f} pairs/s; {ratio:.2f} times the bytes of the PNG files")
        if options.s3:
            stream(root / "shards", root, options.latency)
        else:
            compare_speed(root, options.rounds, options.seconds)
            compare_memory(root, options.pairs)


def compare_speed(root: Path, rounds: int, seconds: float) -> None:
    """Measure all ways in turn, and print their medians."""
    png = PngPairs(root / "png", None)
    sharded = ShardedCrops(
        Shards(ShardStore(str(root / "shards"), root, 1 << 40)),
        recipe=NOT_USED, augment=PairedAugment(), patch_size=PATCH, length=1, seed=0,
    )  # fmt: skip
    ways: dict[str, tuple[Dataset[Any], bool]] = {
        "PNG, cv2.imread and crop": (png, False),
        "the same, flipped and turned": (PngPairs(root / "png", PairedAugment(crop=False)), False),
        "shards, cropped, flipped and turned": (sharded, False),
        "PNG, cold": (png, True),
        "shards, cold": (sharded, True),
    }
    loaders = {name: endless(dataset) for name, (dataset, _) in ways.items()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _, (name, batches) in itertools.product(range(rounds), loaders.items()):
        if ways[name][1]:
            forget(root)
        for _ in range(3):  # what was prefetched in the others' turns
            next(batches)
        count, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            count += len(next(batches)["sharp"])
        rates[name].append(count / passed)
    table = Table("one worker", "pairs/s", "lowest", "highest", "times its PNG", title=f"{PATCH} x {PATCH} pairs")
    middle = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        base = middle["PNG, cold" if ways[name][1] else "PNG, cv2.imread and crop"]
        figures = (middle[name], min(found), max(found))
        table.add_row(name, *(f"{figure:.1f}" for figure in figures), f"{middle[name] / base:.1f}")
    console.print(table)


def endless(dataset: Dataset[Any]) -> Iterator[dict[str, torch.Tensor]]:
    """Return the batches of one worker that fetches only the next one ahead, so that others' turns are not used."""
    sampler = StatelessSampler(10_000_000)
    options = {"num_workers": 1, "prefetch_factor": 2, "worker_init_fn": one_thread}
    return iter(DataLoader(dataset, batch_size=BATCH, sampler=sampler, **options))


def compare_memory(root: Path, pairs: int) -> None:
    """Read a tenth of the tiles, then all of them, and print how the resident memory grew."""
    shards = Shards(ShardStore(str(root / "shards"), root, 1 << 40))
    few = len(shards) // 10
    read = Table("tiles read", "of bytes", "memory grew by", title="memory of reading")
    for number in range(3):
        shards[number]
    before = psutil.Process().memory_info().rss
    for stop in (few, len(shards)):
        total = sum(shards[number].nbytes for number in range(stop))
        grown = psutil.Process().memory_info().rss - before
        read.add_row(str(stop), f"{total / 1e6:.0f} MB", f"{grown / 1e6:.2f} MB")
    console.print(read)


def stream(folder: Path, root: Path, latency: float) -> None:
    """Read a pass of tiles from S3: by whole shards through the cache, and tile by tile through ranges."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    (root / "empty").touch()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "NO_PROXY": "127.0.0.1",
        "AWS_CONFIG_FILE": str(root / "empty"), "AWS_SHARED_CREDENTIALS_FILE": str(root / "empty"),
    }  # fmt: skip
    import logging

    import boto3
    import fsspec

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    client = boto3.client("s3")
    client.create_bucket(Bucket="shelf")
    for path in folder.iterdir():
        client.upload_file(str(path), "shelf", path.name)
    near = Shards(ShardStore(str(folder), root, 1 << 40))
    remote = fsspec.filesystem("s3")
    order = ShardedCrops(
        near, recipe=NOT_USED, augment=PairedAugment(), patch_size=PATCH, length=1, seed=0
    ).order  # fmt: skip
    far = Shards(ShardStore("s3://shelf", root / "cache", 8 * max(shard.bytes for shard in near.index.shards)))

    def whole(number: int) -> None:
        before = len(list((root / "cache").glob("*.bin")))
        far[number]
        if len(list((root / "cache").glob("*.bin"))) > before:
            time.sleep(latency)

    def ranges(number: int) -> None:
        row = near.table[number]
        start, size = int(row["offset"]), near[number].nbytes
        remote.cat_file(f"shelf/{near.index.shards[int(row['shard'])].file}", start=start, end=start + size)
        time.sleep(latency)

    table = Table("from S3", "tiles/s", title=f"one reader, {latency * 1000:.0f} ms a request, one pass of {len(near)}")
    ways: dict[str, Callable[[int], None]] = {"whole shards, cached": whole, "ranges of a tile": ranges}
    for name, read in ways.items():
        start = time.perf_counter()
        for index in range(len(near)):
            read(order(index))
        table.add_row(name, f"{len(near) / (time.perf_counter() - start):.1f}")
    console.print(table)
    server.stop()


def make_pairs(data: Path, folder: Path, count: int) -> None:
    """Write photographs brought to 1280 x 720 as sharp/, and a smoothed copy of each as blur/."""
    files = [data / source.file for source in read_sources(data) if source.split == "train"]
    for side in ("blur", "sharp"):
        (folder / side).mkdir(parents=True)
    for index, file in zip(range(count), itertools.cycle(files), strict=False):
        photo = cv2.resize(read_rgb(file), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(index).normal(0, 2, photo.shape)  # as a camera's; also makes each one different
        sharp = np.clip(photo + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "sharp" / f"{index:04d}.png"), sharp[..., ::-1])
        cv2.imwrite(str(folder / "blur" / f"{index:04d}.png"), cv2.GaussianBlur(sharp, (0, 0), 2)[..., ::-1])


def forget(root: Path) -> None:
    """Ask the operating system to drop the files' pages."""
    for path in root.rglob("*.*"):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def one_thread(worker: int = 0) -> None:
    """Keep OpenCV and torch to one thread a process, as the training loader does."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
