import zipfile

import pytest
import torch
from torch import nn

from unblur.errors import UnblurError
from unblur.export.pt2 import export_program

pytestmark = pytest.mark.slow


def test_a_plain_user_can_load_it_and_run_sizes_that_the_example_did_not_have(network, files):
    program = torch.export.load(files["pt2"]).module()  # with all of PyTorch's guards
    for batch, height, width in [(1, 40, 56), (3, 37, 53), (1, 41, 128)]:
        blur = torch.rand(batch, 3, height, width)
        with torch.no_grad():
            torch.testing.assert_close(program(blur), network(blur), rtol=0, atol=1e-5)


def test_the_archive_holds_no_example_and_nothing_about_source_files(files):
    with zipfile.ZipFile(files["pt2"]) as archive:
        names = archive.namelist()
        content = b"".join(map(archive.read, names))
    assert b"nafnet.py" not in content
    samples = [archive_name for archive_name in names if "/sample_inputs/" in archive_name]
    with zipfile.ZipFile(files["pt2"]) as archive:
        assert all(archive.getinfo(name).file_size < 2000 for name in samples)  # an example image would be 53 kB


class Branching(nn.Module):
    """Looks at values to decide, which torch.export refuses."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_network_that_does_not_export_is_told_in_one_line_and_leaves_no_file(tmp_path):
    with pytest.raises(UnblurError, match=r"Branching cannot be exported with torch\.export") as caught:
        export_program(Branching(), tmp_path / "model.pt2")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
