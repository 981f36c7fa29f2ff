"""What a server has seen of a challenger that answers in the champion's shadow: counts that can be added up."""

from collections import Counter
from dataclasses import dataclass, field, fields

SAME = 100  # dB: answers that are equal, and all that is above


@dataclass(frozen=True)
class Pair:
    """Who was compared: what both are called (models:/NAME/NUMBER if they are in the registry), and their SHA-256."""

    champion: str
    champion_sha256: str
    challenger: str
    challenger_sha256: str


@dataclass
class Tally:
    """Counts of a pair; every field can be added to that of another server, but for the largest shift.

    `requests` were put to the challenger, `errors` of them brought no answer; `dropped` were never put to it, as it
    was busy. `champion_ms` and `challenger_ms` are sums over the requests with an answer. `psnr` counts those by the
    PSNR in dB between the two answers, rounded down; `guarded` are answers in which the guard put something back.
    `colour_shift_max` is the largest difference of the means of a channel, in steps of 255.
    """

    requests: int = 0
    errors: int = 0
    dropped: int = 0
    guarded: int = 0
    champion_guarded: int = 0
    champion_ms: float = 0.0
    challenger_ms: float = 0.0
    colour_shift_max: float = 0.0
    psnr: Counter[int] = field(default_factory=Counter)

    def __add__(self, other: "Tally") -> "Tally":
        """Return both together."""
        names = [each.name for each in fields(Tally) if each.name != "colour_shift_max"]
        added = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Tally(**added, colour_shift_max=max(self.colour_shift_max, other.colour_shift_max))

    @property
    def answers(self) -> int:
        """Requests that the challenger has answered."""
        return self.requests - self.errors

    @property
    def error_share(self) -> float | None:
        """Errors over requests, None without any."""
        return self.errors / self.requests if self.requests else None

    @property
    def latency_ratio(self) -> float | None:
        """The challenger's time over the champion's, None without answers."""
        return self.challenger_ms / self.champion_ms if self.champion_ms else None

    def psnr_at(self, share: float) -> int | None:
        """Return the whole dB that at most `share` of the answers (0.05: the 5th percentile) lie below; None: none."""
        below, counted = 0, self.psnr.total()
        for decibels in sorted(self.psnr):
            below += self.psnr[decibels]
            if below > share * counted:
                return decibels
        return None

    def figures(self) -> dict[str, float]:
        """Return what is shown of it, by name; what cannot be told without answers is left out."""
        told = {
            "requests": self.requests,
            "errors": self.errors,
            "dropped": self.dropped,
            "guarded": self.guarded,
            "champion_guarded": self.champion_guarded,
            "colour_shift_max": round(self.colour_shift_max, 3),
            "psnr_median": self.psnr_at(0.5),
            "psnr_low": self.psnr_at(0.05),
            "latency_ratio": None if self.latency_ratio is None else round(self.latency_ratio, 3),
        }
        return {name: figure for name, figure in told.items() if figure is not None}
