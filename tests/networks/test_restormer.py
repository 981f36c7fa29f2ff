import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unblur.errors import UnblurError
from unblur.networks.restormer import ChannelAttention, Restormer, ScaleNorm2d


def test_attention_mixes_channels_of_a_head_by_the_papers_formula():
    torch.manual_seed(0)
    attention = ChannelAttention(6, heads=2)
    with torch.no_grad():
        attention.temperature.copy_(torch.tensor([0.7, 3.0]).reshape(2, 1, 1))
        x = torch.randn(1, 6, 5, 4)
        q, k, v = attention.qkv_dwconv(attention.qkv(x)).flatten(2)[0].chunk(3)  # each (6, 20)
        mixed = []
        for head, tau in ((slice(0, 3), 0.7), (slice(3, 6), 3.0)):
            unit_q, unit_k = (t[head] / t[head].norm(dim=1, keepdim=True) for t in (q, k))
            mixed.append((tau * unit_q @ unit_k.T).softmax(dim=1) @ v[head])
        expected = attention.project_out(torch.cat(mixed).reshape(1, 6, 5, 4))
        torch.testing.assert_close(attention(x), expected, rtol=1e-4, atol=1e-5)


def test_the_norm_without_bias_scales_alone():
    x = torch.randn(2, 8, 3, 3) + 5
    norm = ScaleNorm2d(8)
    expected = x / (x.var(dim=1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected)


def test_a_new_network_returns_its_input():
    blur = torch.rand(1, 3, 9, 7)
    assert torch.equal(Restormer(8, [1, 1], 1, [1, 2])(blur), blur)


@pytest.mark.parametrize("wrong", [{"heads": [1, 2, 4]}, {"width": 48, "heads": [1, 2, 4, 7]}])
def test_heads_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UnblurError, match="Restormer: got blocks"):
        Restormer(**wrong)


def test_the_convolutions_cost_what_the_paper_counts():
    """Zamir et al. 2022: 140.99 GMACs at 256x256, which leaves out the two products of the attention."""
    with torch.device("meta"):
        network, image = Restormer(), torch.empty(1, 3, 256, 256)
    with FlopCounterMode(display=False) as counter:
        network(image)
    convolutions = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    assert convolutions / 2 == pytest.approx(140.99e9, rel=0.005)
