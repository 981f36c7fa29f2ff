"""Windows that are asked about at once get the answers that they would get one after the other."""

import copy
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from unblur.explaining.photo import network_of
from unblur.explaining.subject import Pointwise, PointwiseMixing, at_once, quick_alone
from unblur.networks.multi_axis import Mixing


@pytest.fixture(autouse=True)
def several_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_what_is_made_at_once_comes_in_order_from_one_thread_each():
    found = at_once(lambda number: (number, torch.get_num_threads()), range(7))
    assert found == [(number, 1) for number in range(7)]


def test_threads_are_as_many_as_before_after_an_error_too():
    def fail(number):
        msg = f"no {number}"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="no 0"):
        at_once(fail, range(3))
    assert torch.get_num_threads() == 3


def test_two_callers_leave_as_many_threads_as_there_were():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: at_once(lambda number: number, range(4)), range(20)))
    assert torch.get_num_threads() == 3


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


@pytest.mark.parametrize("spread", [True, False])
def test_positions_are_mixed_the_same_alone(spread):
    torch.manual_seed(0)
    plain = Mixing(4, spread)
    quick = quick_alone(copy.deepcopy(plain))
    assert type(quick) is PointwiseMixing
    inputs = [torch.rand(2, 5, 8, 12, generator=torch.Generator().manual_seed(0)).requires_grad_() for _ in range(2)]
    answers = [network(given) for network, given in zip((plain, quick), inputs, strict=True)]
    torch.testing.assert_close(*answers)
    torch.testing.assert_close(
        *(torch.autograd.grad(a.square().sum(), g)[0] for a, g in zip(answers, inputs, strict=True))
    )


def test_what_is_explained_is_a_copy_of_what_restores():
    network = nn.Sequential(nn.Conv2d(3, 3, 1))
    assert type(network_of(SimpleNamespace(network=network))[0]) is Pointwise
    assert type(network[0]) is nn.Conv2d
    assert network[0].weight.requires_grad
