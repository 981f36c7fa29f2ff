"""What is exported gives the same in a process that knows nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from unblur.runtimes.restorer import load_restorer

CHILD = """
import sys
import numpy as np
from unblur.runtimes.restorer import load_restorer
restorer = load_restorer(sys.argv[1], 1, precision="auto" if sys.argv[1].endswith(".pt2") else "f32")
np.save(sys.argv[3], restorer(np.load(sys.argv[2])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino", "pt2"])
def test_another_process_restores_the_same(files, name, tmp_path):
    image = np.random.default_rng(0).random((1, 3, 33, 47), dtype=np.float32)
    np.save(tmp_path / "in.npy", image)
    command = [sys.executable, "-c", CHILD, str(files[name]), str(tmp_path / "in.npy"), str(tmp_path / "out.npy")]
    subprocess.run(command, check=True)
    here = load_restorer(files[name], 1, precision="auto" if name == "pt2" else "f32")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), here(image))
