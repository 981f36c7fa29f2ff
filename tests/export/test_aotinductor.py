import shutil

import pytest
import torch

from unblur.errors import UnblurError
from unblur.export.aotinductor import export_aotinductor
from unblur.export.formats import export_model
from unblur.export.parity import check_parity
from unblur.networks.resunet import ResUNet
from unblur.runtimes.restorer import load_restorer
from unblur.safety.hashing import write_listing


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_what_is_compiled_equals_the_network_at_any_size_and_is_loaded_only_where_it_is_listed(tmp_path):
    torch.manual_seed(0)
    network = ResUNet(width=4, blocks=[], middle_blocks=1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    (file,) = export_model(network, ["aotinductor"], tmp_path, 18)
    assert file.name == "model.aoti.pt2"
    with pytest.raises(UnblurError, match=r"compiled code that no sha256\.json beside it vouches for"):
        load_restorer(file)
    write_listing([file], tmp_path)
    rows = check_parity("trained", network, [file], [[1, 16, 24], [2, 33, 47], [3, 5, 1]], 1e-5)
    assert [row.format for row in rows] == ["aotinductor"] * 3
    assert all(row.passed for row in rows)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UnblurError, match="is not the file that was written here"):
        load_restorer(file)


def test_without_a_compiler_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnblurError, match=r"needs a C\+\+ compiler"):
        export_aotinductor(torch.nn.Identity(), tmp_path / "model.aoti.pt2")
