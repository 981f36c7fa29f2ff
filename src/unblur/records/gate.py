"""gate.json: what the gate has judged, on what, and its verdict."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from unblur.errors import GateRefusedError
from unblur.records.files import read_json
from unblur.safety.atomic import replacing
from unblur.safety.unchanged import sealed

FILE = "gate.json"
OF_SHADOW = ("min_shadow_requests", "max_shadow_errors", "min_shadow_psnr")
"""Rules about what servers have seen; their figures change while the rest of a verdict stays."""


@dataclass(frozen=True)
class RuleResult:
    """One rule: its figure (None when it could not be measured), its limit in `unit`, and its verdict."""

    rule: str
    figure: float | None
    limit: float
    unit: str
    passed: bool
    note: str

    def shortfall(self) -> str:
        """Say by how much the figure misses its limit."""
        if self.figure is None:
            return f"{self.rule}: not measured ({self.note})"
        bound = "at least" if self.rule.startswith("min_") else "at most"
        missed = abs(self.figure - self.limit)
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.rule}: {self.figure:.4g}{unit}, {bound} {self.limit:g} wanted, missed by {missed:.3g}{unit}"


@dataclass(frozen=True)
class Subject:
    """What a verdict is about. A record holds for exactly one subject; anything else has to be judged anew.

    `champion` is None when there was no champion to compare with; `champion_sha256` is then that of the model that
    stood in for it, or None. `rules` is the whole section `gate` of the configuration, `code` the SHA-256 of the code
    that measures and judges by them ("": an earlier unblur did not write it), `pairs_sha256` that of the manifest of
    the test pairs.
    """

    model: str
    candidate: int
    candidate_sha256: str
    champion: int | None
    champion_sha256: str | None
    data_md5: str
    pairs_sha256: str
    rules: dict[str, Any]
    code: str = ""


@dataclass(frozen=True)
class StratumRow:
    """Pairs that have something in common: means in the profile's unit, and [mean, low, high] of two differences.

    `gain` is that of the candidate to the blurred input, `against` that to the champion; None where there is no
    champion, or too few pairs for an interval.
    """

    name: str
    pairs: int
    blurred: float
    candidate: float
    gain: list[float] | None = None
    against: list[float] | None = None


@dataclass(frozen=True)
class GateRecord:
    """A verdict with every rule and its figure; `means` are the means of the profile over the test pairs.

    `of_champion` is True where the champion itself was judged once more, as the test data or the rules had changed.
    """

    subject: Subject
    passed: bool
    results: list[RuleResult]
    pairs: int
    means: dict[str, float] = field(default_factory=dict)
    machine: str = ""
    when: str = ""
    strata: list[StratumRow] = field(default_factory=list)
    of_champion: bool = False

    @property
    def verdict(self) -> str:
        """The value of the version's tag `gate`."""
        return "passed" if self.passed else "refused"

    @property
    def challenges(self) -> bool:
        """Say whether nothing but more requests in the champion's shadow is wanted, which a challenger alone gets."""
        return all(
            result.passed
            or result.rule == "min_shadow_requests"
            or (result.rule in OF_SHADOW and result.figure is None)
            for result in self.results
        )

    def require_passed(self) -> None:
        """Do nothing for a verdict that is favourable.

        Raises:
            GateRefusedError: it is not; names each rule that failed, its figure, its limit and the distance.
        """
        if not self.passed:
            failed = "; ".join(result.shortfall() for result in self.results if not result.passed)
            msg = f"The gate refuses {self.subject.model} v{self.subject.candidate}. {failed}"
            if self.of_champion:
                msg += ". It is the champion, and stays until you act: promote a better one, or `unblur rollback`"
            raise GateRefusedError(msg)


def write_record(record: GateRecord, folder: Path) -> Path:
    """Write gate.json into `folder` and return its path."""
    path = folder / FILE
    with replacing(path) as unfinished:
        text = json.dumps(sealed({"verdict": record.verdict, **asdict(record)}), indent=2, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8")
    return path


def is_record(path: Path) -> bool:
    """Say whether a file is a record of the gate, whole or damaged."""
    try:
        return '"subject"' in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read_record(path: Path) -> GateRecord:
    """Read gate.json.

    Raises:
        UnblurError: the file is no gate record.
    """
    return read_json(path, GateRecord, "gate")


def differences(subject: Subject, other: Subject) -> list[str]:
    """Name the fields in which two subjects differ."""
    names = (item.name for item in fields(Subject))
    return [name for name in names if getattr(subject, name) != getattr(other, name)]
