"""ESTRNN: recurrent video deblurring with global spatio-temporal attention (Zhong et al. 2020, ECCV)."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.networks.description import Place, Removable
from unblur.networks.layers import crop, pad_to_multiple
from unblur.networks.streaming import StreamingNetwork


class ESTRNN(StreamingNetwork):
    """Restores a clip (B, T, 3, H, W) to (B, T, 3, H, W), both RGB in [0, 1]; any T, H and W from 1 on.

    A recurrent cell goes through the whole clip; each frame is then made of its own features and those of `past`
    frames before and `future` after it. Beyond the ends of the clip the features of its first and last frame stand in,
    so that every frame is returned. A clip of one frame has neither recurrence nor neighbours: run frame by frame, this
    is the same network without either.

    `forward` takes a clip at once; `start`, `step` and `drain`, or `stream` for all three, take it frame by frame with
    the same result, a delay of `future` frames, and memory that does not grow.

    The parameters are named as in the official checkpoints.

    Args:
        width: channels n at full resolution.
        blocks: residual dense blocks of the cell.
        past: frames before that a frame sees besides the recurrent state.
        future: frames after, and the delay of a stream.
        centred: frames lie in [-0.5, 0.5] inside, as in the paper.
        residual: the output corrects the blurred frame; the paper's is the frame itself.
    """

    def __init__(
        self,
        width: int = 16,
        blocks: int = 15,
        past: int = 2,
        future: int = 2,
        *,
        centred: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.past, self.future = past, future
        self.offset = 0.5 if centred else 0.0
        self.residual = residual
        self.multiple = 4
        self.cell = RecurrentCell(width, blocks)
        self.fusion = FrameFusion(5 * width, past + 1 + future)
        self.recons = Reconstruction(5 * width * (past + 1 + future), width)
        if residual:
            for parameter in self.recons.model[-1].parameters():
                nn.init.zeros_(parameter)  # a new network returns its input

    @property
    def hidden_channels(self) -> int:
        """Channels of the hidden state."""
        return self.cell.width

    @property
    def feature_channels(self) -> int:
        """Channels of a frame's features."""
        return 5 * self.cell.width

    def encode(self, frame: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the features (B, 5n, h, w) of a frame (B, 3, H, W), and the state after it; None is the start."""
        out: tuple[Tensor, Tensor] = self.cell(pad_to_multiple(frame - self.offset, self.multiple), hidden)
        return out

    def decode(self, features: Tensor, frame: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the features (B, past + 1 + future, 5n, h, w) around a frame."""
        picture = self.recons(self.fusion(features, self.past)) + self.offset
        restored = crop(picture, *frame.shape[-2:])
        return frame + restored - self.offset if self.residual else restored


class RecurrentCell(nn.Module):
    """Encodes a frame to a quarter of its size, joins the recurrent state, and gives features and the next state."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.width = width
        self.F_B0 = nn.Conv2d(3, width, 5, padding=2)
        self.F_B1 = DenseDown(width, width)
        self.F_B2 = DenseDown(2 * width, width * 3 // 2)
        self.F_R = ResidualDenseNet(5 * width, 2 * width, blocks)
        self.F_h = nn.Sequential(
            nn.Conv2d(5 * width, width, 3, padding=1),
            ResidualDenseBlock(width, width),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, frame: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) and (B, n, H/4, W/4) -> features (B, 5n, H/4, W/4), the next state."""
        x = self.F_B2(self.F_B1(self.F_B0(frame)))  # (B, 3, H, W) -> (B, 4n, H/4, W/4)
        if hidden is None:
            hidden = torch.zeros_like(x[:, : self.width])
        features = self.F_R(torch.cat([x, hidden], dim=1))
        return features, self.F_h(features)


class FrameFusion(nn.Module):
    """Global spatio-temporal attention: what each neighbour has to say about the middle frame, all concatenated."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        both = 2 * channels
        self.F_f = nn.Sequential(nn.Linear(both, 2 * both), nn.GELU(), nn.Linear(2 * both, both), nn.Sigmoid())
        self.F_p = nn.Sequential(nn.Conv2d(both, 2 * both, 1), nn.Conv2d(2 * both, both, 1))
        self.condense = nn.Conv2d(both, channels, 1)
        self.fusion = nn.Conv2d(frames * channels, frames * channels, 1)

    def forward(self, features: Tensor, middle: int) -> Tensor:
        """(B, frames, C, h, w) -> (B, frames * C, h, w)."""
        reference = features[:, middle]
        said = []
        for i, other in enumerate(features.unbind(1)):
            if i != middle:
                pair = torch.cat([reference, other], dim=1)  # (B, 2C, h, w)
                weight = self.F_f(pair.mean(dim=(2, 3)))[:, :, None, None]
                said.append(self.condense(weight * self.F_p(pair)))
        out: Tensor = self.fusion(torch.cat([*said, reference], dim=1))
        return out


class Reconstruction(nn.Module):
    """Back to full size by two transposed convolutions: (B, C, h, w) -> (B, 3, 4h, 4w)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(channels, 2 * width, 3, stride=2, padding=1, output_padding=1),
            nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1),
            nn.Conv2d(width, 3, 5, padding=2),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, 4h, 4w)."""
        picture: Tensor = self.model(features)
        return picture


class DenseDown(nn.Module):
    """A residual dense block and a convolution that halves the size: (B, C, H, W) -> (B, 2C, H/2, W/2)."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb = ResidualDenseBlock(channels, growth)
        self.down_sampling = nn.Conv2d(channels, 2 * channels, 5, stride=2, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size."""
        halved: Tensor = self.down_sampling(self.rdb(x))
        return halved


class ResidualDenseNet(nn.Module):
    """Residual dense blocks one after the other, all their outputs joined (Zhang et al. 2018, CVPR)."""

    def __init__(self, channels: int, growth: int, blocks: int) -> None:
        super().__init__()
        self.RDBs = nn.ModuleList([ResidualDenseBlock(channels, growth) for _ in range(blocks)])
        self.conv1x1 = nn.Conv2d(blocks * channels, channels, 1)
        self.conv3x3 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        outputs = []
        for block in self.RDBs:
            x = block(x)
            outputs.append(x)
        joined: Tensor = self.conv3x3(self.conv1x1(torch.cat(outputs, dim=1)))
        return joined


class ResidualDenseBlock(nn.Module):
    """Convolutions that each see the input and all outputs before them; their sum with the input comes out."""

    def __init__(self, channels: int, growth: int, layers: int = 3) -> None:
        super().__init__()
        self.dense_layers = nn.ModuleList([DenseLayer(channels + i * growth, growth) for i in range(layers)])
        self.conv1x1 = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        seen = x
        for layer in self.dense_layers:
            seen = torch.cat([seen, layer(seen)], dim=1)
        out: Tensor = x + self.conv1x1(seen)
        return out

    def removable(self) -> list[Removable]:
        """Return the outputs of each dense layer: every later layer of the block and its end take them in."""
        convs = [(f"dense_layers.{i}.conv", cast("DenseLayer", each).conv) for i, each in enumerate(self.dense_layers)]
        start, found = convs[0][1].in_channels, []
        for index, (name, conv) in enumerate(convs):
            every = list(range(conv.out_channels))
            later = [*convs[index + 1 :], ("conv1x1", self.conv1x1)]
            places: list[Place] = [(name, "out", every)]
            for taker, layer in later:
                after = layer.in_channels - start - len(every)
                places.append((taker, "in", [-1] * start + every + [-1] * after))
            found.append(Removable(len(every), places))
            start += len(every)
        return found


class DenseLayer(nn.Module):
    """One convolution and GELU."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, growth, H, W)."""
        return F.gelu(self.conv(x))
