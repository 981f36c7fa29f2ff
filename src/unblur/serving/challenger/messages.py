"""What a server and the process of its challenger say to each other."""

from dataclasses import dataclass
from pathlib import Path

from unblur.records.shadow import Pair, Tally
from unblur.serving.settings import Settings


@dataclass(frozen=True)
class Start:
    """The first message: the challenger's reference ("": none, only to publish), where files may lie meanwhile.

    `follow` are seconds between two looks where an alias leads, 0 for none.
    """

    reference: str
    follow: float
    settings: Settings
    folder: Path


@dataclass(frozen=True)
class Ready:
    """The challenger is loaded; or `fault` says why it cannot be, in a line."""

    called: str = ""
    sha256: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Asked:
    """A request that the champion has answered; the upload and the answer follow as bytes.

    `champion` is what it is called, see `Loaded`; `milliseconds` are those of its restoration.
    """

    request: str
    champion: str
    champion_sha256: str
    reduction: int
    ending: str
    strength: float | None
    milliseconds: float
    guarded: bool


@dataclass(frozen=True)
class Compared:
    """What the challenger made of it: `error` is a line, or "".

    `same` is True where it is the champion's own file by now, and nothing was restored. PSNR in dB between both
    answers as they were written, at most 100; `colour_shift` is the largest difference of the means of a channel, in
    steps of 255.
    """

    pair: Pair
    same: bool = False
    milliseconds: float = 0.0
    psnr: float = 0.0
    colour_shift: float = 0.0
    guarded: bool = False
    error: str = ""


@dataclass(frozen=True)
class Publish:
    """Write these counts into the registry; `server` is the id of the shadow that has counted."""

    pair: Pair
    tally: Tally
    server: str


@dataclass(frozen=True)
class Published:
    """The registry has the counts; or `fault` says why it does not, in a line."""

    fault: str = ""
