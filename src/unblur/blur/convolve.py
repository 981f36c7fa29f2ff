"""Convolution of a photograph with one point-spread function."""

import cv2

from unblur.blur.light import Linear
from unblur.blur.psf import PSF


def convolve(image: Linear, psf: PSF) -> Linear:
    """Return `image` (H, W, 3) blurred by `psf` (K, K), same shape; beyond its border the image is mirrored.

    OpenCV's filter2D sums directly up to K = 11 and goes through the Fourier transform above; measured on one core at
    96 to 768 pixels and K from 3 to 41, its choice was at least twice as fast as NumPy's FFT and level with `cv2.dft`.
    Of a crop, the pixels at least K // 2 away from the border do not depend on the mirroring.
    """
    kernel = psf[::-1, ::-1].copy()  # filter2D correlates
    blurred: Linear = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)
    return blurred
