"""Sensor noise at an ISO: shot and read noise counted in electrons (Foi et al. 2008, IEEE TIP 17(10))."""

import math
from dataclasses import dataclass

from numpy.random import Generator

from unblur.blur.operator import check_range, random_seed
from unblur.errors import UnblurError

BASE_ISO = 100


@dataclass(frozen=True)
class IsoNoise:
    """Noise at an ISO drawn log-uniformly; `SensorNoise.apply` makes it of the drawn numbers.

    At ISO 100 a pixel saturates at `full_well` electrons; at ISO 100 g at 1/g of that. So light x in [0, 1] is
    x full_well / g electrons, whose Poisson variance is g x / full_well in units of light, and `read_electrons` of
    read noise are g read_electrons / full_well.
    """

    min_iso: float
    max_iso: float
    full_well: float = 15000.0
    read_electrons: float = 3.0

    def __post_init__(self) -> None:
        check_range("sensor noise, ISO", self.min_iso, self.max_iso)
        if self.min_iso <= 0 or self.full_well <= 0 or self.read_electrons < 0:
            got = f"ISO {self.min_iso}, full well {self.full_well}, read noise {self.read_electrons}"
            msg = f"sensor noise: got {got}; expected ISO and full well above 0, read noise from 0, in conf/blur"
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the ISO of one exposure, and what follows from it."""
        iso = math.exp(rng.uniform(math.log(self.min_iso), math.log(self.max_iso)))
        light_an_electron = iso / BASE_ISO / self.full_well
        return {
            "iso": iso,
            "noise_shot": light_an_electron,
            "noise_read": self.read_electrons * light_an_electron,
            "noise_seed": random_seed(rng),
        }
