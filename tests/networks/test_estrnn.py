import pytest
import torch

from unblur.networks.estrnn import ESTRNN


@pytest.fixture(params=[False, True], ids=["frame", "correction"])
def network(request):
    torch.manual_seed(0)
    network = ESTRNN(width=4, blocks=2, residual=request.param)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("length", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [(10, 14), (1, 1), (7, 33)])
def test_a_stream_gives_what_the_whole_clip_gives(network, length, size):
    clip = torch.rand(2, length, 3, *size)
    with torch.no_grad():
        streamed = list(network.stream(clip.unbind(1)))
        whole = network(clip)
    assert len(streamed) == length
    assert (torch.stack(streamed, dim=1) - whole).abs().max() < 1e-5


@pytest.mark.parametrize(("past", "future"), [(0, 0), (3, 0), (0, 2), (1, 3)])
def test_a_stream_sees_as_far_back_and_ahead_as_the_network(past, future):
    torch.manual_seed(0)
    network = ESTRNN(width=4, blocks=1, past=past, future=future).eval()
    clip = torch.rand(1, 6, 3, 9, 11)
    with torch.no_grad():
        streamed = list(network.stream(clip.unbind(1)))
        assert (torch.stack(streamed, dim=1) - network(clip)).abs().max() < 1e-5
        clip[:, 5] = 1 - clip[:, 5]
        changed = (torch.stack(list(network.stream(clip.unbind(1))), dim=1) - torch.stack(streamed, dim=1)).abs()
    assert [bool(frame.max() > 0) for frame in changed[0]] == [t + future >= 5 for t in range(6)]


def test_a_stream_is_late_by_two_frames_and_its_state_does_not_grow(network):
    taken = []

    def frames():
        for number in range(6):
            taken.append(number)
            yield torch.rand(1, 3, 8, 8)

    with torch.no_grad():
        stream = network.stream(frames())
        next(stream)
        assert taken == [0, 1, 2]
        state = network.start(torch.rand(1, 3, 8, 8))
        sizes = [tensor.shape for tensor in state]
        for _ in range(4):
            _, state = network.step(torch.rand(1, 3, 8, 8), state)
        assert [tensor.shape for tensor in state] == sizes
    assert not list(network.stream([]))


def test_the_past_is_remembered_beyond_the_neighbours_and_the_future_only_two_frames(network):
    clip = torch.rand(1, 9, 3, 8, 8)
    changed_first, changed_last = clip.clone(), clip.clone()
    changed_first[:, 0] = torch.rand(1, 3, 8, 8)
    changed_last[:, 8] = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        whole, first, last = network(clip), network(changed_first), network(changed_last)
    assert (first - whole)[:, 8].abs().max() > 0  # through the recurrent state
    assert (last - whole)[:, 6].abs().max() > 0
    assert (last - whole)[:, :6].abs().max() == 0


def test_one_frame_has_neither_recurrence_nor_neighbours(network):
    clip = torch.rand(1, 3, 3, 8, 8)
    with torch.no_grad():
        alone = torch.cat([network(frame[:, None]) for frame in clip.unbind(1)], dim=1)
        assert (alone - network(clip)).abs().max() > 1e-4
        assert torch.equal(network(clip[:, :1]), alone[:, :1])


def test_a_new_correcting_network_returns_its_input():
    clip = torch.rand(1, 2, 3, 9, 7)
    torch.testing.assert_close(ESTRNN(width=4, blocks=1, residual=True)(clip), clip)
