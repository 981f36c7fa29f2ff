import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unblur.errors import UnblurError
from unblur.export.pt2 import export_program
from unblur.runtimes.restorer import load_restorer

MODEL = "archive/models/model.json"
WEIGHTS = "archive/data/weights/model_weights_config.json"
SAMPLES = "archive/data/sample_inputs/model.pt"


@pytest.fixture
def program(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1)).eval()
    network.task = "image"
    export_program(network, tmp_path / "model.pt2")
    return network, tmp_path / "model.pt2"


@pytest.fixture
def trap(tmp_path):
    """A file that must not come to be, and a pickle that would make it."""

    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    evil = io.BytesIO()
    torch.save(Touch(), evil, pickle_module=pickle)
    yield evil.getvalue()
    assert not (tmp_path / "owned").exists()


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, content):
    """Write the members, a dict or a list of pairs, as a copy."""
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in content.items() if isinstance(content, dict) else content:
            archive.writestr(name, data)
    return copy


def changed(path, member, change):
    content = members(path)
    described = json.loads(content[member])
    change(described)
    return packed(path, {**content, member: json.dumps(described)})


def test_it_restores_as_the_network_does(program):
    network, path = program
    restorer = load_restorer(path)
    batch = np.random.default_rng(0).random((3, 3, 21, 17), dtype=np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(restorer(batch), expected, atol=1e-6)


def test_an_input_that_cannot_be_restored_is_told_in_one_line(program):
    with pytest.raises(UnblurError, match=r"model\.pt2: fails on an input of \(1, 5, 9, 9\) .*; try a smaller --tile$"):
        load_restorer(program[1])(np.zeros((1, 5, 9, 9), np.float32))


@pytest.mark.parametrize("name", ["a.pt2", "a.aoti.pt2"])
def test_a_gpu_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UnblurError, match=r"is run by PyTorch, on cpu, and cannot be run on cuda; give an \.onnx file"):
        load_restorer(tmp_path / name, device="cuda")


def pickled_weights(described):
    for payload in described["config"].values():
        payload |= {"use_pickle": True, "path_name": "weight_0"}


def test_pickled_weights_are_refused(program, trap):
    path = changed(program[1], WEIGHTS, pickled_weights)
    path = packed(path, {**members(path), "archive/data/weights/weight_0": trap})
    with pytest.raises(UnblurError, match=r"weights_config\.json names pickled objects"):
        load_restorer(path)


def test_a_member_twice_of_which_pytorch_reads_the_other_is_refused(program, trap):
    good = members(program[1])
    bad = json.loads(good[WEIGHTS])
    pickled_weights(bad)
    bad["config"] = {name: {**each, "path_name": "weight_9"} for name, each in bad["config"].items()}
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = packed(
            program[1],
            [(WEIGHTS, json.dumps(bad)), ("archive/data/weights/weight_9", trap), *good.items()],
        )
    with pytest.raises(UnblurError, match="which are one name"):
        load_restorer(path)


def test_the_layout_of_old_archives_whose_members_pytorch_unpickles_is_refused(program, trap):
    from torch._export.serde.serialize import SCHEMA_VERSION

    described = members(program[1])[MODEL]
    old = {
        "version": ".".join(map(str, SCHEMA_VERSION)),
        "serialized_exported_program.json": described,
        **dict.fromkeys(("serialized_state_dict.pt", "serialized_constants.pt", "serialized_example_inputs.pt"), trap),
    }
    for content in (old, {**members(program[1]), **old}):
        with pytest.raises(UnblurError, match="may hold pickled objects"):
            load_restorer(packed(program[1], content))


@pytest.mark.parametrize("member", ["data/weights/model.pt", "data/constants/model.pt", "data/constants/opaque_obj_0"])
def test_members_that_pytorch_unpickles_by_their_names_are_refused(program, trap, member):
    with pytest.raises(UnblurError, match="may hold pickled objects"):
        load_restorer(packed(program[1], {**members(program[1]), f"archive/{member}": trap}))


def test_example_inputs_are_refused(program, trap):
    with pytest.raises(UnblurError, match=r"sample_inputs/model\.pt holds pickled objects"):
        load_restorer(packed(program[1], {**members(program[1]), SAMPLES: trap}))


def test_a_size_that_is_python_is_refused(program, tmp_path):
    attack = f"__import__('pathlib').Path({str(tmp_path / 'owned')!r}).touch()"

    def change(described):
        value = next(iter(described["graph_module"]["graph"]["tensor_values"].values()))
        value["sizes"][0] = {"as_expr": {"expr_str": attack, "hint": None}}

    path = changed(program[1], MODEL, change)
    with pytest.raises(UnblurError, match="has a size"):
        load_restorer(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "size",
    [
        "Pow(Integer(9),Pow(Integer(9),Integer(9)))",
        "Pow(Pow(Pow(Pow(Pow(Integer(9), Integer(9)), Integer(9)), Integer(9)), Integer(9)), Integer(9))",
        "Integer(Integer)",
        "Max()",
        "'s1'",
        "(" * 5000,
    ],
)
def test_a_size_that_takes_for_ever_or_is_nonsense_is_refused(program, size):
    def change(described):
        value = next(iter(described["graph_module"]["graph"]["tensor_values"].values()))
        value["sizes"][0] = {"as_expr": {"expr_str": size, "hint": None}}

    with pytest.raises(UnblurError, match=r"has a size|cannot be loaded|is damaged"):
        load_restorer(changed(program[1], MODEL, change))


def test_an_empty_tensor_is_refused(program):
    weight = next(name for name in members(program[1]) if name.endswith("weight_0"))
    with pytest.raises(UnblurError, match="weight_0 is empty or missing"):
        load_restorer(packed(program[1], {**members(program[1]), weight: b""}))


@pytest.mark.parametrize("target", ["torch.os.system", "torch.load", "torch.ops.aten.from_file.default", "#x:y"])
def test_operators_that_are_none_of_tensors_are_refused(program, target):
    path = changed(program[1], MODEL, lambda d: d["graph_module"]["graph"]["nodes"][-1].update(target=target))
    with pytest.raises(UnblurError, match="no operator of tensors"):
        load_restorer(path)


def test_an_operator_as_an_argument_is_refused(program):
    def change(described):
        described["graph_module"]["graph"]["nodes"][-1]["inputs"][0]["arg"] = {"as_operator": "torch.os.system"}

    with pytest.raises(UnblurError, match="argument 'as_operator'"):
        load_restorer(changed(program[1], MODEL, change))


def test_compiled_libraries_are_refused(program):
    with pytest.raises(UnblurError, match="compiled code"):
        load_restorer(packed(program[1], {**members(program[1]), "archive/data/aotinductor/model/model.so": b""}))


def test_a_second_directory_that_another_reader_would_find_does_not_reach_pytorch(program, trap):
    """Python's reader takes the directory before the end, PyTorch's the one at the offset written there."""
    evil = packed(program[1], {**members(program[1]), "archive/data/weights/model.pt": trap}).read_bytes()
    both = program[1].with_name("both.pt2")
    both.write_bytes(evil + program[1].read_bytes())
    batch = np.zeros((1, 3, 8, 8), np.float32)
    np.testing.assert_array_equal(load_restorer(both)(batch), load_restorer(program[1])(batch))


def test_a_file_that_is_no_archive_or_no_program(tmp_path, program):
    (tmp_path / "a.pt2").write_bytes(b"nothing")
    with pytest.raises(UnblurError, match=r"a\.pt2: damaged or not a zip archive"):
        load_restorer(tmp_path / "a.pt2")
    for described in (b"[]", b"{}", b"nothing"):
        with pytest.raises(UnblurError, match="damaged"):
            load_restorer(packed(program[1], {**members(program[1]), MODEL: described}))
