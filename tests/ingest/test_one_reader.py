"""Restoring, preparing, training, packing and checking read a picture to the same pixels, whatever its kind."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from unblur.blur.recipe import BlurRecipe
from unblur.blur.trajectory import CameraShake
from unblur.data.augment import PairedAugment
from unblur.data.datasets import SharpCrops
from unblur.data.images import read_rgb
from unblur.data.listing import SOURCES
from unblur.data.manifest import Source
from unblur.data.paired_crops import PairedCrops
from unblur.data.pairs import prepare_pairs
from unblur.data.pictures import read_pictures
from unblur.data.shard_cache import ShardStore
from unblur.data.shards import Shards
from unblur.images.exif import upright
from unblur.ingest import check, check_pairs
from unblur.ingest.imported import import_dataset
from unblur.ingest.imported_pairs import bring_pairs
from unblur.ingest.layouts.known import LAYOUTS
from unblur.ingest.pack import pack
from unblur.restoring.folder import plan_jobs, restore_job
from unblur.safety.hashing import sha256_file

STILL = BlurRecipe({"identity": CameraShake(0, 0)}, {"identity": 1})
MIDDLE = PairedAugment(crop=False, flip=False, rotate=False)
SIDE = 48


def pgm(path, photo, top):
    values = np.rint(photo[..., 1] * (top / 255)).astype(">u2")
    path.write_bytes(b"P5\n%d %d\n%d\n" % (SIDE, SIDE, top) + values.tobytes())
    return np.repeat(photo[..., 1:2], 3, axis=2)


def ppm(path, photo, top):
    values = np.rint(photo * (top / 255)).astype(">u2")
    path.write_bytes(b"P6\n%d %d\n%d\n" % (SIDE, SIDE, top) + values.tobytes())
    return photo


def tiff(path, photo, turn):
    planes = np.ascontiguousarray(np.moveaxis(photo.astype(np.uint16) * 257, -1, 0))
    tag = [(274, "H", 1, turn, True)]
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", metadata=None, extratags=tag)
    return upright(photo, turn)


def tagged(path, photo, turn):
    exif = Image.Exif()
    exif[274] = turn
    Image.fromarray(photo).save(path, quality=90, exif=exif)
    with Image.open(path) as image:
        return upright(np.asarray(image.convert("RGB")), turn)


def palette(path, photo, _):
    image = Image.fromarray(photo).quantize(64)
    image.save(path)
    return np.asarray(image.convert("RGB"))


KINDS = {
    "12 bits.pgm": (pgm, 4095),
    "10 bits.ppm": (ppm, 1023),
    "planes.tif": (tiff, 1),
    "turned planes.tif": (tiff, 7),
    "palette.png": (palette, None),
    **{f"turned {turn}.jpg": (tagged, turn) for turn in (1, 2, 3, 4, 5, 6, 7, 8)},
    "turned.png": (tagged, 6),
    "turned.webp": (tagged, 8),
}


@pytest.fixture(params=KINDS)
def picture(request, tmp_path, make_photo):
    """A file of the kind, and what it shows."""
    write, argument = KINDS[request.param]
    path = tmp_path / "data/photos" / request.param
    path.parent.mkdir(parents=True)
    return path, write(path, make_photo(SIDE, SIDE), argument)


def as_bytes(item):
    return (item.numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)


def test_all_see_what_the_file_shows(picture, tmp_path, monkeypatch):
    path, shown = picture
    data, relative = tmp_path / "data", f"photos/{path.name}"
    seen = {}

    job = plan_jobs([path], tmp_path / "restored.png")[0][0]
    assert restore_job(lambda batch: batch, job, guard=False).error is None
    seen["restore"] = read_rgb(tmp_path / "restored.png")

    source = Source(relative, "test", "scene", sha256_file(path), "CC0")
    (row,) = prepare_pairs(
        [source], data, tmp_path / "prepared", STILL, pairs_per_photo={"test": 1}, max_side={}, seed=0
    )
    seen["prepare"] = read_pictures(tmp_path / "prepared" / row.sharp)

    crops = SharpCrops([source], data, recipe=STILL, augment=MIDDLE, patch_size=SIDE, length=1, seed=0)
    seen["train"] = as_bytes(crops[0]["sharp"])

    pack(path.parent, tmp_path / "shards", tile=SIDE, overlap=0)
    seen["pack"] = Shards(ShardStore(str(tmp_path / "shards"), tmp_path / "cache", 1 << 30))[0][0]

    def keep(name, image, *_):
        seen["check-data"] = image
        return []

    monkeypatch.setattr(check, "check_picture", keep)
    (data / SOURCES).write_text("[]")
    check.check_data(data, 1)

    assert set(seen) == {"restore", "prepare", "train", "pack", "check-data"}
    for reader, pixels in seen.items():
        np.testing.assert_array_equal(pixels, seen["restore"], err_msg=reader)
    np.testing.assert_allclose(seen["restore"].astype(int), shown, atol=1)


def test_imported_pairs_are_read_alike(picture, tmp_path, monkeypatch):
    path, shown = picture
    root = tmp_path / "pairs"
    for split in ("train", "test"):
        for side in ("blur", "sharp"):
            target = root / split / side / f"{split}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    dataset = import_dataset(LAYOUTS["pairs"], root, hold_out=0)
    (row,) = bring_pairs(dataset, tmp_path / "prepared", max_side={}, max_pairs={})
    training = [each for each in dataset.rows if each.split == "train"]
    item = PairedCrops(training, root, augment=MIDDLE, patch_size=SIDE, length=1, seed=0)[0]
    seen = []
    monkeypatch.setattr(check_pairs, "check_pair", lambda name, blur, sharp, _: seen.extend((blur, sharp)) or [])
    check_pairs.check_imported(dataset, check.CheckConfig(), 1)
    seen += [read_pictures(tmp_path / "prepared" / file) for file in (row.blur, row.sharp)]
    seen += [as_bytes(item[side]) for side in ("blur", "sharp")]
    assert len(seen) == 8
    for pixels in seen:
        np.testing.assert_array_equal(pixels, read_rgb(path))
        np.testing.assert_allclose(pixels.astype(int), shown, atol=1)
