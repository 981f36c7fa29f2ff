"""What needs no training: nothing at all, unsharp masking, and deconvolution with a guessed Gaussian PSF.

The blur of a photograph is unknown to whoever wants to remove it, so every image gets the same settings: those that
gain the most on the validation pairs of the starter dataset (`studies/baseline_settings.py` prints the sweep).
Stronger ones do better on the blurriest pairs and ruin the others.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from skimage.filters import unsharp_mask
from skimage.restoration import richardson_lucy, wiener

from unblur.blur.light import to_linear, to_srgb
from unblur.config.suggest import nearest
from unblur.errors import UnblurError
from unblur.records.scores import BLURRED

Batch = NDArray[np.float32]
Planes = NDArray[np.float32]

BORDER = 16  # pixels mirrored around the image before a deconvolution, and cut off after it


def blurred(batch: Batch) -> Batch:
    """Return the input: what every method has to beat."""
    return batch


def unsharp(batch: Batch, radius: float = 1.0, amount: float = 0.2) -> Batch:
    """Add `amount` of the difference to a copy blurred by `radius` pixels; (B, 3, H, W) in [0, 1].

    On sRGB values, as photo editors do.
    """
    # Channels first: with channel_axis=-1 scikit-image 0.26 filters the first rows instead of the channels.
    sharpened = [
        unsharp_mask(image, radius=radius, amount=amount, channel_axis=0, preserve_range=True) for image in batch
    ]
    result: Batch = np.clip(np.stack(sharpened), 0, 1).astype(np.float32)
    return result


def richardson_lucy_guessed(batch: Batch, sigma: float = 0.5, iterations: int = 3) -> Batch:
    """Deconvolve by Richardson-Lucy in linear light with a Gaussian PSF of `sigma` pixels; (B, 3, H, W) in [0, 1].

    Richardson 1972, Lucy 1974: the maximum-likelihood estimate under Poisson noise, stopped early.
    """
    psf = gaussian_psf(sigma)
    return _in_linear_light(
        batch, lambda plane: richardson_lucy(plane, psf, num_iter=iterations, clip=False, filter_epsilon=1e-6)
    )


def wiener_guessed(batch: Batch, sigma: float = 0.4, balance: float = 0.001) -> Batch:
    """Deconvolve by the Wiener filter in linear light with a Gaussian PSF of `sigma` pixels; (B, 3, H, W) in [0, 1].

    Orieux et al. 2010, with a Laplacian as the smoothness prior, of weight `balance`.
    """
    psf = gaussian_psf(sigma)
    return _in_linear_light(batch, lambda plane: wiener(plane, psf, balance=balance, clip=False))


BASELINES: Mapping[str, Callable[[Batch], Batch]] = MappingProxyType(
    {
        BLURRED: blurred,
        "unsharp": unsharp,
        "richardson_lucy": richardson_lucy_guessed,
        "wiener": wiener_guessed,
    }
)


def get_baselines(names: Iterable[str]) -> dict[str, Callable[[Batch], Batch]]:
    """Return the named baselines; the blurred input comes first and is always among them.

    Raises:
        UnblurError: there is no baseline of that name; the nearest one is named.
    """
    chosen = [BLURRED, *(name for name in names if name != BLURRED)]
    for name in chosen:
        if name not in BASELINES:
            msg = f"there is no baseline {name!r}{nearest(name, BASELINES)}; evaluate.baselines takes {list(BASELINES)}"
            raise UnblurError(msg)
    return {name: BASELINES[name] for name in chosen}


def gaussian_psf(sigma: float) -> NDArray[np.float32]:
    """Return a (K, K) Gaussian of `sigma` pixels, cut at three of them, with sum 1."""
    reach = int(np.ceil(3 * sigma))
    profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    psf = np.outer(profile, profile)
    normalised: NDArray[np.float32] = (psf / psf.sum()).astype(np.float32)
    return normalised


def _in_linear_light(batch: Batch, deconvolve: Callable[[Planes], Planes]) -> Batch:
    """Apply `deconvolve` to each channel (H, W) of linear light; mirrored borders keep its edges from ringing."""
    padded = np.pad(to_linear(batch), [(0, 0), (0, 0), (BORDER, BORDER), (BORDER, BORDER)], mode="reflect")
    restored = np.stack([np.stack([deconvolve(plane) for plane in image]) for image in padded])
    return to_srgb(restored[:, :, BORDER:-BORDER, BORDER:-BORDER])
