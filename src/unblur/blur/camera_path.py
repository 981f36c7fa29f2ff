"""The path of a hand-held camera during an exposure, and what it does to the picture.

As in Tai et al. 2011, IEEE TPAMI 33(8): a camera that turns about three axes, moves along three and looks at a plane
maps the picture by one homography for each moment, the projective motion path. The blur is the mean of the pictures,
and varies over the image.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from unblur.blur.light import Linear
from unblur.blur.psf import diameter
from unblur.blur.trajectory import STEPS, trajectory

Poses = NDArray[np.float64]
"""(N, 6): rotation about x, y and z in radians; movement along x, y and z in distances to the scene."""

Homographies = NDArray[np.float64]
"""(N, 3, 3): where a pixel (x, y, 1) comes from."""

_TINY = 1e-4


def shaken_poses(rng: Generator, *, wander: tuple[float, float, float], share: Sequence[float], focal: float) -> Poses:
    """Return the poses (STEPS + 1, 6) of one exposure, each of which is small; `scaled` makes them the right size.

    In the middle of the exposure the camera stands where it aims, and so it does on average: the truth is both the
    picture of that moment and where the blur's mass lies.

    Args:
        rng: draws three random trajectories: of yaw and pitch, of movement sideways, of roll and movement forwards.
        wander: their jitter, pull and jolts, as of `unblur.blur.trajectory.trajectory`.
        share: how far movement sideways, roll and movement forwards shift a corner, relative to yaw and pitch.
        focal: length in half diagonals of the picture.
    """
    turn, move, spin = (_unit(trajectory(rng, *wander)) for _ in range(3))
    sideways, roll, forwards = share
    poses = np.zeros((STEPS + 1, 6))
    poses[:, 0], poses[:, 1] = turn.imag / focal, turn.real / focal
    poses[:, 2] = roll * spin.real
    poses[:, 3], poses[:, 4] = sideways * move.real / focal, sideways * move.imag / focal
    poses[:, 5] = forwards * spin.imag
    return centred_in_time(_TINY * poses)


def centred_in_time(path: Poses) -> Poses:
    """Return `path` (N, D), N odd, so that its middle row and its mean are both 0, by an acceleration added to it."""
    bend = np.linspace(-1, 1, len(path))[:, None] ** 2
    moved = path - path[len(path) // 2]
    centred: Poses = moved - bend * (resampled(moved, 1) / resampled(bend, 1))
    return centred


class View:
    """A window of a picture: where its pixels lie, in half diagonals of the picture from its middle.

    Args:
        size: (H, W) of the window in pixels.
        scale: half diagonal of the window, in those of the picture.
        middle: x + iy of the window's middle.
        focal: length in half diagonals of the picture.
    """

    def __init__(self, size: tuple[int, int], scale: float = 1.0, middle: complex = 0j, focal: float = 1.2) -> None:
        height, width = size
        pixels = max(float(np.hypot(height, width)) / 2 / scale, 1.0)  # half a diagonal
        x, y = (width - 1) / 2 - pixels * middle.real, (height - 1) / 2 - pixels * middle.imag
        self.size = size
        self.camera = np.array([[pixels * focal, 0, x], [0, pixels * focal, y], [0, 0, 1]])

    def homographies(self, poses: Poses) -> Homographies:
        """Return (N, 3, 3): where each pixel (x, y, 1) of the window comes from at each pose."""
        rays = Rotation.from_rotvec(poses[:, :3]).as_matrix()
        rays[:, :, 2] += poses[:, 3:]  # the scene is the plane z = 1
        moved: Homographies = self.camera @ rays @ np.linalg.inv(self.camera)
        return moved

    def tracks(self, poses: Poses) -> NDArray[np.complex128]:
        """Return (5, N): the places x + iy in pixels of what is seen in the four corners and in the middle."""
        right, bottom = self.size[1] - 1, self.size[0] - 1
        places = [(0, 0), (right, 0), (0, bottom), (right, bottom), (right / 2, bottom / 2)]
        seen = self.homographies(poses) @ np.array([[x, y, 1] for x, y in places], np.float64).T  # (N, 3, 5)
        flat = seen[:, :2] / seen[:, 2:]
        tracks: NDArray[np.complex128] = np.empty((5, len(poses)), np.complex128)
        tracks.real, tracks.imag = flat[:, 0].T, flat[:, 1].T
        return tracks

    def extent(self, poses: Poses) -> float:
        """Return over how many pixels that corner moves which moves most."""
        return max(diameter(track) for track in self.tracks(poses))

    def scaled(self, poses: Poses, extent: float) -> Poses:
        """Return `poses` grown or shrunk until the corner that moves most moves over `extent` pixels."""
        for _ in range(3):  # the movement is nearly proportional to the poses
            poses = poses * (extent / max(self.extent(poses), 1e-12))
        return poses


def steps(poses: Poses, view: View, step: float = 1.0) -> int:
    """Return an odd number of moments, as many as bring the fastest corner on by at most `step` pixels on average."""
    length = max(float(np.abs(np.diff(track)).sum()) for track in view.tracks(poses))
    return 2 * int(np.ceil(length / step / 2)) + 1


def resampled(poses: Poses, count: int) -> Poses:
    """Return the mean poses (count, 6) of as many equal parts of the time; so their mean stays what it is."""
    passed = np.zeros_like(poses)
    np.cumsum((poses[1:] + poses[:-1]) / 2, axis=0, out=passed[1:])
    at, given = np.linspace(0, 1, count + 1), np.linspace(0, 1, len(poses))
    until = np.stack([np.interp(at, given, column) for column in passed.T], axis=1)
    return np.diff(until, axis=0) * (count / (len(poses) - 1))


def pictures(image: Linear, homographies: Homographies, interpolation: int = cv2.INTER_LINEAR) -> Iterator[Linear]:
    """Yield `image` (H, W, 4) as seen at each pose, same shape; beyond its border it is mirrored.

    Four channels, as OpenCV warps them in half the time of three.
    """
    height, width = image.shape[:2]
    flags = interpolation | cv2.WARP_INVERSE_MAP
    for matrix in homographies:
        yield cv2.warpPerspective(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


def mean_picture(image: Linear, homographies: Homographies) -> Linear:
    """Return the mean over the poses of `image` (H, W, C), C up to 4, same shape."""
    total = np.zeros((*image.shape[:2], 4), np.float32)
    for picture in pictures(with_fourth_channel(image), homographies):
        cv2.accumulate(picture, total)
    total /= np.float32(len(homographies))
    return np.ascontiguousarray(total[..., : image.shape[2]])


def with_fourth_channel(image: Linear, fourth: Linear | None = None) -> Linear:
    """Return (H, W, 4): `image` (H, W, 3) and `fourth` (H, W), or zeros."""
    four = np.zeros((*image.shape[:2], 4), np.float32)
    four[..., : image.shape[2]] = image
    if fourth is not None:
        four[..., 3] = fourth
    return four


def _unit(path: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return path / diameter(path)
