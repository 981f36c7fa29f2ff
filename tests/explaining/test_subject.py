"""Windows that are asked about at once get the answers that they would get one after the other."""

import pytest
import torch

from unblur.explaining.subject import at_once


def test_what_is_made_at_once_comes_in_order_from_one_thread_each():
    found = at_once(lambda number: (number, torch.get_num_threads()), range(7))
    assert found == [(number, 1) for number in range(7)]


def test_threads_are_as_many_as_before_after_an_error_too():
    def fail(number):
        msg = f"no {number}"
        raise ValueError(msg)

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="no 0"):
        at_once(fail, range(3))
    assert torch.get_num_threads() == before
