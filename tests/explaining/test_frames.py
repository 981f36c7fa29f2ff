"""Of several frames, the one that the answer is made of is found."""

import numpy as np
import torch
from torch import nn

from unblur.explaining.frames import frame_effects, strongest_frame
from unblur.explaining.gradients import integrated_gradients
from unblur.explaining.region import Region
from unblur.explaining.subject import restorer_of, subject_of


class Second(nn.Module):
    """Adds to the first shot what the second has more of."""

    task = "burst"

    def forward(self, x):
        return x[:, 0] + 0.5 * (x[:, 1] - torch.nn.functional.avg_pool2d(x[:, 1], 5, 1, 2))


def test_the_frame_that_counts(make_photo):
    shots = np.stack([make_photo(64, 64, seed=seed) for seed in range(3)]).astype(np.float32) / 255
    window = torch.from_numpy(np.ascontiguousarray(shots.transpose(0, 3, 1, 2)))
    network = Second()
    subject = subject_of(restorer_of(network, 3, 0), network, window, Region(20, 20, 24))
    effects = frame_effects(subject)
    assert effects[1] > 0.9
    assert abs(effects[0]) < 1e-5
    assert abs(effects[2]) < 1e-5
    strongest = strongest_frame(integrated_gradients(subject))
    assert (strongest[22:42, 22:42] == 1).all()
