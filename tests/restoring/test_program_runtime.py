import json
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

from unblur.errors import UnblurError
from unblur.restoring.restorer import load_restorer


@pytest.fixture
def program(tmp_path):
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 3, padding=1).eval()
    sizes = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    exported = torch.export.export(network, (torch.rand(2, 3, 12, 10),), dynamic_shapes=sizes)
    torch.export.save(exported, tmp_path / "model.pt2")
    return network, tmp_path / "model.pt2"


def rewritten(path, change):
    """Copy the archive with `change(name, content) -> content`."""
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return copy


def test_it_restores_as_the_network_does(program):
    network, path = program
    restorer = load_restorer(path)
    batch = np.random.default_rng(0).random((3, 3, 21, 17), dtype=np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(restorer(batch), expected, atol=1e-6)


def test_pickled_weights_are_refused_before_anything_is_loaded(program):
    def pickled(name, content):
        if not name.endswith("weights_config.json"):
            return content
        config = json.loads(content)
        for payload in config["config"].values():
            payload["use_pickle"] = True
        return json.dumps(config)

    with pytest.raises(UnblurError, match=r"weights_config\.json holds pickled objects"):
        load_restorer(rewritten(program[1], pickled))


def test_example_inputs_that_would_run_code_are_refused(program, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("never",))

    evil = tmp_path / "evil.pt"
    torch.save(Evil(), evil, pickle_module=pickle)

    def changed(name, content):
        return evil.read_bytes() if "sample_inputs" in name else content

    with pytest.raises(UnblurError, match="sample_inputs"):
        load_restorer(rewritten(program[1], changed))


def test_compiled_libraries_are_refused(program):
    path = rewritten(program[1], lambda name, content: content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/aotinductor/model/model.so", b"")
    with pytest.raises(UnblurError, match="compiled code"):
        load_restorer(path)


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "a.pt2").write_bytes(b"nothing")
    with pytest.raises(UnblurError, match=r"a\.pt2: not a torch\.export archive"):
        load_restorer(tmp_path / "a.pt2")
