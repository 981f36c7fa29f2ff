"""Windows that are asked about at once get the answers that they would get one after the other."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from unblur.explaining.photo import network_of
from unblur.explaining.subject import Pointwise, at_once, quick_alone


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


def test_a_network_that_is_quick_alone_gives_the_same_answers_and_gradients():
    plain = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 8, 1, stride=2), nn.Conv2d(8, 3, 1, bias=False)
    )
    quick = quick_alone(copy.deepcopy(plain))
    assert [type(layer) is Pointwise for layer in quick] == [True, False, False, True]
    inputs = [torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0)).requires_grad_() for _ in range(2)]
    answers = [network(given) for network, given in zip((plain, quick), inputs, strict=True)]
    torch.testing.assert_close(*answers)
    torch.testing.assert_close(*(torch.autograd.grad(a.sum(), g)[0] for a, g in zip(answers, inputs, strict=True)))


def test_what_is_explained_is_a_copy_of_what_restores():
    network = nn.Sequential(nn.Conv2d(3, 3, 1))
    assert type(network_of(SimpleNamespace(network=network))[0]) is Pointwise
    assert type(network[0]) is nn.Conv2d
    assert network[0].weight.requires_grad
