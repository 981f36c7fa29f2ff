"""ESTRNN: recurrent video deblurring with global spatio-temporal attention (Zhong et al. 2020, ECCV)."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.networks.layers import crop, pad_to_multiple


class ClipState(NamedTuple):
    """What a stream remembers: all that a step needs besides its frame."""

    hidden: Tensor
    """(B, n, h, w): the recurrent state."""
    features: Tensor
    """(B, past + 1 + future, 5n, h, w): of the last frames, the newest last."""
    frames: Tensor
    """(B, future + 1, 3, H, W): the last frames themselves, the newest last."""


class ESTRNN(nn.Module):
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

    task: ClassVar[str] = "video"

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

    def forward(self, blur: Tensor) -> Tensor:
        """Return every frame restored; values may leave [0, 1] a little."""
        hidden = None
        features = []
        for frame in blur.unbind(1):
            encoded, hidden = self.encode(frame, hidden)
            features.append(encoded)
        last = len(features) - 1
        restored = []
        for t, frame in enumerate(blur.unbind(1)):
            seen = [features[min(max(t + k, 0), last)] for k in range(-self.past, self.future + 1)]
            restored.append(self.decode(torch.stack(seen, dim=1), frame))
        return torch.stack(restored, dim=1)

    def encode(self, frame: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the features (B, 5n, h, w) of a frame (B, 3, H, W), and the state after it; None is the start."""
        out: tuple[Tensor, Tensor] = self.cell(pad_to_multiple(frame - self.offset, self.multiple), hidden)
        return out

    def decode(self, features: Tensor, frame: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the features (B, past + 1 + future, 5n, h, w) around a frame."""
        picture = self.recons(self.fusion(features, self.past)) + self.offset
        restored = crop(picture, *frame.shape[-2:])
        return frame + restored - self.offset if self.residual else restored

    def start(self, frame: Tensor) -> ClipState:
        """Return the state of a stream before its first frame, which is `frame` (B, 3, H, W)."""
        encoded, hidden = self.encode(frame)
        window = torch.stack([encoded] * (self.past + 1 + self.future), dim=1)
        return ClipState(torch.zeros_like(hidden), window, torch.stack([frame] * (self.future + 1), dim=1))

    def step(self, frame: Tensor, state: ClipState) -> tuple[Tensor, ClipState]:
        """Take the next frame (B, 3, H, W); return the one `future` frames before it, restored, and the state.

        The first `future` results of a stream come before its first frame and mean nothing.
        """
        encoded, hidden = self.encode(frame, state.hidden)
        return self._next(encoded, hidden, frame, state)

    def drain(self, state: ClipState) -> tuple[Tensor, ClipState]:
        """Return the next restored frame when there are no more to take; `future` times at the end of a stream."""
        return self._next(state.features[:, -1], state.hidden, state.frames[:, -1], state)

    def stream(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield every frame (B, 3, H, W) restored, `future` frames later than it is taken."""
        state, taken = None, 0
        for frame in frames:
            restored, state = self.step(frame, self.start(frame) if state is None else state)
            taken += 1
            if taken > self.future:
                yield restored
        for late in range(1, self.future + 1):
            if state is None:
                return
            restored, state = self.drain(state)
            if taken + late > self.future:
                yield restored

    def _next(self, encoded: Tensor, hidden: Tensor, frame: Tensor, state: ClipState) -> tuple[Tensor, ClipState]:
        features = torch.cat([state.features[:, 1:], encoded[:, None]], dim=1)
        frames = torch.cat([state.frames[:, 1:], frame[:, None]], dim=1)
        return self.decode(features, frames[:, 0]), ClipState(hidden, features, frames)


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


class DenseLayer(nn.Module):
    """One convolution and GELU."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, growth, H, W)."""
        return F.gelu(self.conv(x))
