"""Named metric profiles: the same network gets different figures from different papers' code, so say which.

| profile          | definition                                                            | who reports it         |
|------------------|-----------------------------------------------------------------------|------------------------|
| psnr/literature  | RGB, whole image, output rounded to uint8                             | NAFNet, BasicSR        |
| psnr/float       | the same without rounding                                             | MIMO-UNet              |
| ssim/matlab3d    | 11x11x11 Gaussian over H, W and C, border replicated, output as uint8 | NAFNet, papers' tables |
| ssim/per-channel | 11x11 Gaussian, valid region, mean over RGB, output as uint8          | BasicSR, MMagic        |
| psnr/aligned     | psnr/literature after the truth's best sub-pixel shift up to 3 pixels,| unblur, for pairs of a |
|                  | 16 pixels off at each edge, intensity not matched                     | camera or of video     |

A dataset's figure is the mean of its images' figures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from unblur.config.suggest import nearest
from unblur.errors import UnblurError
from unblur.metrics.aligned import psnr_aligned
from unblur.metrics.psnr import psnr, round_to_uint8
from unblur.metrics.ssim import ssim_matlab3d, ssim_per_channel


@dataclass(frozen=True)
class Profile:
    """A metric with all its choices made.

    `compute` takes restored and truth, (B, 3, H, W) RGB in [0, 1], and returns one figure an image, (B,).
    """

    name: str
    unit: str
    compute: Callable[[Tensor, Tensor], Tensor]


def _as_saved(metric: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Score the restored image as it comes back from an 8-bit file; the truth came from one already."""
    return lambda restored, truth: metric(round_to_uint8(restored), truth)


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("psnr/literature", "dB", _as_saved(psnr)),
            Profile("psnr/float", "dB", psnr),
            Profile("ssim/matlab3d", "", _as_saved(ssim_matlab3d)),
            Profile("ssim/per-channel", "", _as_saved(ssim_per_channel)),
            Profile("psnr/aligned", "dB", _as_saved(psnr_aligned)),
        )
    }
)


def get_profile(name: str) -> Profile:
    """Return the profile called `name`.

    Raises:
        UnblurError: there is none of that name; the message names the nearest and all.
    """
    if name not in PROFILES:
        msg = f"there is no metric profile {name!r}{nearest(name, PROFILES)}; known: {', '.join(PROFILES)}"
        raise UnblurError(msg)
    return PROFILES[name]
