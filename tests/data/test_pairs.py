import dataclasses
from collections import Counter

import numpy as np
import pytest
from omegaconf import OmegaConf

from unblur.blur.camera_motion import CameraMotion
from unblur.blur.optics import Defocus
from unblur.blur.recipe import BlurRecipe
from unblur.blur.sensor import SensorNoise
from unblur.blur.sequence import BurstRecipe, VideoRecipe
from unblur.blur.trajectory import CameraShake
from unblur.config.compose import config_dir
from unblur.config.instantiate import instantiate
from unblur.data.datasets import Pairs
from unblur.data.images import read_rgb, write_png
from unblur.data.manifest import Source, read_manifest
from unblur.data.pairs import prepare_pairs, remake_pair
from unblur.data.pictures import read_pictures, sha256_pictures
from unblur.errors import UnblurError
from unblur.safety.hashing import sha256_file

IMAGE_RECIPES = [file for file in sorted((config_dir() / "blur").glob("*.yaml")) if "operators" in OmegaConf.load(file)]
RECIPE = BlurRecipe(
    operators={"identity": CameraShake(0, 1), "shake": CameraShake(4, 20), "defocus": Defocus(0.8, 4, [0, 6])},
    weights={"identity": 12, "shake": 60, "defocus": 28},
    sensor=SensorNoise(0.002, 0.012),
)
PHOTOS = {
    "photos/cup.png": ("test", 75, 101),
    "photos/sub/cup.png": ("test", 60, 140),
    "photos/cat.png": ("val", 64, 64),
    "photos/wall.png": ("train", 64, 64),
}


@pytest.fixture
def data(tmp_path, make_photo):
    """A data root and its sources."""
    root, sources = tmp_path / "data", []
    for seed, (file, (split, height, width)) in enumerate(PHOTOS.items()):
        write_png(root / file, make_photo(height, width, seed))
        sources.append(Source(file, split, file, sha256_file(root / file), "CC0"))
    return root, sources


def prepare(data, out, seed=0, **options):
    root, sources = data
    return prepare_pairs(
        sources,
        root,
        out,
        RECIPE,
        **{"pairs_per_photo": {"val": 4, "test": 8}, "max_side": {"val": 96, "test": 96}, "seed": seed, **options},
    )


def test_every_pair_is_written_listed_and_stratified(data, tmp_path):
    out = tmp_path / "prepared"
    rows = prepare(data, out)
    assert read_manifest(out) == rows
    assert Counter(row.split for row in rows) == {"test": 16, "val": 4}
    for photo in ("photos/cup.png", "photos/sub/cup.png"):
        mine = [row for row in rows if row.source == photo]
        assert Counter(row.kind for row in mine) == {"identity": 1, "shake": 5, "defocus": 2}
        fifths = [(row.strength - 4) / 16 * 5 for row in mine if row.kind == "shake"]
        assert [int(fifth) for fifth in fifths] == [0, 1, 2, 3, 4]
    assert [row.pair for row in rows][:2] == ["cup_00", "cup_01"]
    assert "sub_cup_07" in [row.pair for row in rows]
    on_disk = {str(path.relative_to(out)) for path in out.rglob("*.png")}
    assert on_disk == {row.blur for row in rows} | {row.sharp for row in rows}
    for row in rows:
        assert (row.blur, row.sharp) == (f"{row.split}/blur/{row.pair}.png", f"{row.split}/sharp/{row.pair}.png")
        assert (sha256_file(out / row.blur), sha256_file(out / row.sharp)) == (row.blur_sha256, row.sharp_sha256)


@pytest.mark.property
def test_a_pair_is_made_again_bit_for_bit_from_its_row(data, tmp_path):
    prepare(data, tmp_path / "prepared")
    for row in read_manifest(tmp_path / "prepared"):
        blur, sharp = remake_pair(row, data[0], RECIPE)
        np.testing.assert_array_equal(blur, read_rgb(tmp_path / "prepared" / row.blur))
        np.testing.assert_array_equal(sharp, read_rgb(tmp_path / "prepared" / row.sharp))
        # The ranges of the recipe do not matter any more, only the row does.
        wider = dataclasses.replace(RECIPE, operators={**RECIPE.operators, "shake": CameraShake(9, 99)}, sensor=None)
        np.testing.assert_array_equal(remake_pair(row, data[0], wider)[0], blur)


def test_large_photographs_are_cropped_in_the_middle_never_resized(data, tmp_path):
    rows = {row.source: row for row in prepare(data, tmp_path / "prepared")}
    for file, top, left, height, width in [("photos/cup.png", 0, 2, 74, 96), ("photos/sub/cup.png", 0, 22, 60, 96)]:
        sharp = read_rgb(tmp_path / "prepared" / rows[file].sharp)
        np.testing.assert_array_equal(sharp, read_rgb(data[0] / file)[top : top + height, left : left + width])


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_pairs(data, tmp_path):
    one, again, other = (prepare(data, tmp_path / name, seed) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert one == again
    assert (tmp_path / "a/manifest.csv").read_bytes() == (tmp_path / "b/manifest.csv").read_bytes()
    assert not {row.blur_sha256 for row in one} & {row.blur_sha256 for row in other}


def test_adding_a_photograph_changes_no_other_pair(data, make_photo, tmp_path):
    root, sources = data
    before = prepare(data, tmp_path / "a")
    write_png(root / "photos/new.png", make_photo(40, 40, 9))
    new = dataclasses.replace(sources[0], file="photos/new.png", sha256="1" * 64, scene="new")
    after = prepare((root, [new, *sources]), tmp_path / "b")
    assert after[8:] == before


def test_an_interrupted_preparation_leaves_no_manifest(data, tmp_path):
    def stop(tasks):
        yield from tasks[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(data, tmp_path / "prepared", track=stop)
    with pytest.raises(UnblurError, match="no manifest"):
        read_manifest(tmp_path / "prepared")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pairs_per_photo": {"tset": 8}}, "no split 'tset'"),
        ({"max_side": {"val": 1, "test": 1}}, "cup.png: 101 x 75 pixels, max_side is 1"),
    ],
)
def test_wrong_settings_are_refused(data, tmp_path, options, says):
    with pytest.raises(UnblurError, match=says):
        prepare(data, tmp_path / "prepared", **options)


def test_a_split_without_photographs_is_refused(data, tmp_path):
    root, sources = data
    with pytest.raises(UnblurError, match="asks for val pairs, but no photograph"):
        prepare((root, [source for source in sources if source.split != "val"]), tmp_path / "prepared")


def test_two_photographs_of_one_name_are_refused(data, tmp_path):
    root, sources = data
    clash = dataclasses.replace(sources[0], file="photos/sub_cup.png")
    with pytest.raises(UnblurError, match=r"photos/sub_cup.png and photos/sub/cup.png would both be called 'sub_cup'"):
        prepare((root, [*sources, clash]), tmp_path / "prepared")


def test_a_source_outside_the_data_root_is_refused(data, tmp_path):
    root, sources = data
    escape = dataclasses.replace(sources[0], file="../outside.png")
    with pytest.raises(UnblurError, match="leads out of"):
        prepare((root, [escape, *sources[2:]]), tmp_path / "prepared")


@pytest.mark.contract
@pytest.mark.parametrize("file", IMAGE_RECIPES, ids=lambda file: file.stem)
def test_every_configured_recipe_makes_the_stored_bytes_again_from_a_row(data, tmp_path, file):
    recipe = instantiate(OmegaConf.load(file))
    root, sources = data
    pairs = prepare_pairs(sources, root, tmp_path, recipe, pairs_per_photo={"val": 5}, max_side={}, seed=3)
    assert len(pairs) == 5
    for row in read_manifest(tmp_path):
        blur, sharp = remake_pair(row, root, recipe)
        np.testing.assert_array_equal(blur, read_rgb(tmp_path / row.blur))
        np.testing.assert_array_equal(sharp, read_rgb(tmp_path / row.sharp))


@pytest.mark.parametrize("recipe", [VideoRecipe(CameraMotion(0, 6), 3), BurstRecipe(CameraMotion(0, 6), 4)])
def test_sequences_are_folders_of_frames_and_come_again_from_a_row(data, tmp_path, recipe):
    root, sources = data
    pairs = prepare_pairs(sources, root, tmp_path, recipe, pairs_per_photo={"val": 2}, max_side={"val": 32}, seed=3)
    for row in pairs:
        blur, sharp = remake_pair(row, root, recipe)
        assert len(blur) == recipe.frames
        np.testing.assert_array_equal(blur, read_pictures(tmp_path / row.blur))
        np.testing.assert_array_equal(sharp, read_pictures(tmp_path / row.sharp))
        assert row.sharp_sha256 == sha256_pictures(tmp_path / row.sharp)
    item = Pairs(pairs, tmp_path)[0]
    assert item["blur"].shape[:2] == (recipe.frames, 3)
    assert item["sharp"].ndim == (4 if recipe.kind == "video" else 3)
