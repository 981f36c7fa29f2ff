import pytest
import torch

from unblur.errors import UnblurError
from unblur.runtimes.torch_errors import told_in_one_line

BEYOND_ADDRESSES = 2**58  # floats; no processor of today has addresses for so many bytes


def test_what_does_not_fit_the_memory_is_told_in_one_line():
    told = r"^model: fails on an input of \(1, 3, 9, 9\) \(.*alloc.*\); try a smaller --tile$"
    with pytest.raises(UnblurError, match=told), told_in_one_line("model", "an input of (1, 3, 9, 9)"):
        torch.empty(BEYOND_ADDRESSES)


def test_a_gpu_without_memory_is_told_in_one_line():
    with pytest.raises(UnblurError, match=r"^model: fails on a video"), told_in_one_line("model", "a video", "cut it"):
        raise torch.OutOfMemoryError
