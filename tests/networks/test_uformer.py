from itertools import pairwise

import pytest
import torch

from unblur.errors import UnblurError
from unblur.networks.uformer import Uformer, WindowAttention


def moved(attention):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return attention


def direct(attention, x, groups):
    """softmax(Q K^T / sqrt(d) + B) V written out pixel by pixel over groups of pixels that see each other."""
    batch, height, width, channels = x.shape
    heads = attention.heads
    q, k, v = attention.qkv(x).reshape(batch, height, width, 3, heads, channels // heads).unbind(3)
    out = torch.zeros(batch, height, width, channels)
    for pixels in groups:
        for y, u in pixels:
            for h in range(heads):
                side = 2 * attention.window - 1
                places = [(y - r + attention.window - 1) * side + u - c + attention.window - 1 for r, c in pixels]
                products = torch.stack([q[0, y, u, h] @ k[0, r, c, h] for r, c in pixels])
                scores = products / (channels // heads) ** 0.5 + attention.bias[h, places]
                values = torch.stack([v[0, r, c, h] for r, c in pixels])
                out[0, y, u, h * (channels // heads) : (h + 1) * (channels // heads)] = scores.softmax(0) @ values
    return attention.out(out)


def windows(height, width, window, shift):
    """The pixels of each window; a shifted grid has smaller windows at the border."""

    def parts(side):
        edges = sorted({0, side, *range(shift or window, side, window)})
        return [range(a, b) for a, b in pairwise(edges)]

    return [[(y, x) for y in rows for x in columns] for rows in parts(height) for columns in parts(width)]


@pytest.mark.parametrize("shift", [0, 2])
def test_attention_is_the_textbook_formula_in_windows(shift):
    attention = moved(WindowAttention(6, heads=2, window=4, shift=shift))
    x = torch.randn(1, 8, 12, 6)
    with torch.no_grad():
        expected = direct(attention, x, windows(8, 12, 4, shift))
        torch.testing.assert_close(attention(x), expected, rtol=1e-4, atol=1e-5)


def test_shifted_windows_carry_information_across_the_borders_of_the_others():
    def reach(shift):
        attention = moved(WindowAttention(4, heads=1, window=4, shift=shift))
        x = torch.randn(1, 8, 8, 4)
        other = x.clone()
        other[0, 3, 3] += 1
        with torch.no_grad():
            return (attention(other) - attention(x)).abs().sum(dim=3)[0] > 1e-6

    assert reach(0)[:4, :4].all()
    assert not reach(0)[4:, 4:].any()
    assert reach(2)[2:6, 2:6].all()


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(UnblurError, match="2 encoder and 1 decoder"):
        Uformer(16, [1, 1], 1, [1], head_channels=8)
    with pytest.raises(UnblurError, match="heads of 7"):
        Uformer(16, [1], 1, [1], head_channels=7)
