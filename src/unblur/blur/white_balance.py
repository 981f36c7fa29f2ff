"""White balance: the sensor sees red and blue weaker than green, and the camera makes up for it."""

from dataclasses import dataclass

from numpy.random import Generator

from unblur.errors import UnblurError


@dataclass(frozen=True)
class WhiteBalance:
    """Gains of red and blue, each drawn from 1 to its maximum: undone before the mosaic, done again after it."""

    max_red: float = 2.4
    max_blue: float = 2.0

    def __post_init__(self) -> None:
        if min(self.max_red, self.max_blue) < 1:
            msg = f"white balance: got {self.max_red} and {self.max_blue}; expected at least 1, in conf/blur"
            raise UnblurError(msg)

    def draw(self, rng: Generator) -> dict[str, float]:
        """Draw the gains of one scene's light."""
        return {"wb_red": rng.uniform(1, self.max_red), "wb_blue": rng.uniform(1, self.max_blue)}
