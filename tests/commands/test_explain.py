"""`unblur explain` as a process: the page of a photograph, and one line for each mistake."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from unblur.networks.burst import BurstNet
from unblur.networks.nafnet import NAFNet
from unblur.training.weights import save_model

NAFNET = {"width": 4, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]}


@pytest.fixture
def photo(tmp_path, make_photo):
    path = tmp_path / "photo.png"
    Image.fromarray(make_photo(72, 96)).save(path)
    return path


def saved(network, config, folder):
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():  # a new network corrects nothing
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    folder.mkdir()
    save_model(network, config, folder)
    return folder


@pytest.fixture
def model(tmp_path):
    return saved(NAFNet(**NAFNET), {"_target_": "unblur.networks.nafnet.NAFNet", **NAFNET}, tmp_path / "model")


def explain(*arguments):
    command = [sys.executable, "-m", "unblur.commands.explain", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_page_stands_by_itself(photo, model, tmp_path):
    out = tmp_path / "out"
    done = explain(photo, out, "--model", model, "--size", 16, "--at", "40,30", "--whole")
    assert done.returncode == 0, done.stderr
    page = (out / "index.html").read_text(encoding="utf-8")
    sources = re.findall(r"""(?:src|href|srcset)=["']([^"']*)""", page)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    plain = re.search(r'<ol class="plain">(.*?)</ol>', page, re.DOTALL)
    assert plain is not None
    assert plain[1].count("<li>") == 3
    content = json.loads((out / "explanation.json").read_text())
    assert content["region"] == {"left": 32, "top": 22, "size": 16}
    with (out / "fidelity.csv").open() as stream:
        rows = {row["map"]: row for row in csv.DictReader(stream)}
    by_gradients = {"lam", "grouped_gradients", "integrated_gradients", "input_gradients"}
    assert set(rows) == {*by_gradients, "occlusion", "lime", "intervention"}
    assert float(rows["grouped_gradients"]["completeness_error"]) < 0.1
    for name, row in rows.items():
        assert (out / f"map_{name}.png").is_file()
        assert page.count(f"failed: {row['failed']}") >= 2 if row["failed"] else row["failed"] == ""
    assert float(rows["integrated_gradients"]["completeness_error"]) < 0.1
    again = explain(photo, photo.parent, "--model", model)
    assert again.returncode == 1
    assert "nothing was touched" in again.stderr


def test_a_model_without_gradients_is_explained_without_them(photo, box_onnx, tmp_path):
    model = box_onnx()
    arguments = (photo, tmp_path / "out", "--model", model, "--runtime", "onnxruntime", "--size", "16")
    refused = explain(*arguments, "--maps", "lam")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "has no gradients, which lam needs; take occlusion, lime, intervention" in refused.stderr
    done = explain(*arguments, "--maps", "intervention")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "explanation.json").read_text())
    (row,) = content["fidelity"]
    assert (row["map"], row["unchanged"]) == ("intervention", None)
    assert row["deletion_low"] > 0.2  # a mean over 3 x 3 pixels depends on the region alone
    assert any("has no gradients" in note for note in content["notes"])


def test_a_model_for_photographs_explains_one_frame_of_a_clip(box_onnx, make_photo, make_video, tmp_path):
    frames = [make_photo(72, 96, number) for number in range(6)]
    clip = make_video(tmp_path / "a.mkv", frames)
    arguments = ("--model", box_onnx(), "--runtime", "onnxruntime", "--size", "16", "--maps", "intervention", "--quick")
    done = explain(clip, tmp_path / "clip", *arguments, "--frame", 4)
    assert done.returncode == 0, done.stderr
    Image.fromarray(frames[4]).save(tmp_path / "frame.png")
    explain(tmp_path / "frame.png", tmp_path / "frame", *arguments)
    of_clip, of_frame = (json.loads((tmp_path / name / "explanation.json").read_text()) for name in ("clip", "frame"))
    assert (of_clip["frames"], of_clip["figures"]) == (1, of_frame["figures"])
    refused = explain(clip, tmp_path / "none", *arguments, "--frame", 9)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr


@pytest.mark.slow
def test_without_a_place_it_is_the_whole_page(photo, model, tmp_path):
    found = {}
    for name, place in {"chosen": (), "named": ("--at", "40,30", "--whole")}.items():
        done = explain(
            photo, tmp_path / name, "--model", model, "--size", 16, "--maps", "intervention", "--quick", *place
        )
        assert done.returncode == 0, done.stderr
        found[name] = {file.name for file in (tmp_path / name).iterdir()}
    assert found["chosen"] == found["named"]
    assert any(name.startswith("blur") for name in found["chosen"])
    assert (tmp_path / "chosen" / "tuning.csv").stat().st_size > 200


@pytest.mark.slow
def test_a_region_alone_is_explained_by_one_map_and_what_lies_near(model, tmp_path, make_photo):
    path, out = tmp_path / "large.png", tmp_path / "out"
    Image.fromarray(make_photo(300, 520)).save(path)
    done = explain(path, out, "--model", model, "--size", 16, "--at", "400,150")
    assert done.returncode == 0, done.stderr
    content = json.loads((out / "explanation.json").read_text())
    assert content["region"] == {"left": 392, "top": 142, "size": 16}
    assert (content["width"], content["height"], len(content["sentences"])) == (520, 300, 3)
    assert "the 256 x 256 pixels around the region, from column 264 and row 22 on" in content["notes"][0]
    assert [row["map"] for row in content["fidelity"]] == ["intervention"]
    assert {file.stem for file in out.glob("*.png")} == {
        *("before", "after", "correction", "region_before", "region_after", "map_intervention", "spread")
    }
    seen = np.asarray(Image.open(path))[142:158, 392:408]
    drawn = Image.open(out / "region_before.png").convert("RGB")
    shown = np.asarray(
        drawn.crop(drawn.convert("L").point(lambda value: value < 250 and 255).getbbox()).resize((16, 16))
    )
    assert np.corrcoef(seen.ravel(), shown.ravel())[0, 1] > 0.9  # that very place


def test_mistakes_are_one_line_each(photo, model, tmp_path):
    config = {"width": 4, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]}
    burst = saved(BurstNet(**config), {"_target_": "unblur.networks.burst.BurstNet", **config}, tmp_path / "burst")
    shots = tmp_path / "shots"
    shots.mkdir()
    photo_2 = shots / "1.png"
    photo_2.write_bytes(photo.read_bytes())
    for arguments, code, told in (
        ((photo, "--model", model, "--at", "500,500"), 2, "--at 500,500: a region of 32 pixels around it leaves the"),
        ((photo, "--model", model, "--size", "700"), 2, "--size 700: expected 8 to 72"),
        ((photo, "--model", model, "--at", "a,b"), 2, "'a,b' is no place"),
        ((shots, "--model", model), 1, "is a burst or clip, and"),
        ((photo, "--model", burst), 1, "restores bursts; give a folder of shots"),
        ((tmp_path / "none.png", "--model", model), 1, "there is no such file or folder"),
    ):
        done = explain(arguments[0], tmp_path / "out", *arguments[1:])
        assert done.returncode == code, done.stderr
        assert told in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_model_in_the_box_has_gradients(photo, tmp_path):
    out = tmp_path / "out"
    done = explain(photo, out, "--model", "box", "--size", 16, "--at", "40,30", "--quick", "--maps", "input_gradients")
    assert done.returncode == 0, done.stderr
    assert (out / "map_input_gradients.png").is_file()
    assert "model box" in (out / "index.html").read_text(encoding="utf-8")
