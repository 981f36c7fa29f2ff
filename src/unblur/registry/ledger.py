"""Who moved the champion, when, from what to what, and why: an append-only log in one order, kept in MLflow.

MLflow swaps no alias atomically and has no history of them, but it numbers the versions of a registered model one by
one. So a move is a version of the registered model NAME.ledger, and the creation of that version is the move: nothing
is locked, and a killed process leaves nothing half done. Each names the move that it builds on, and is valid exactly if
that is the last valid one before it. So of two that build on the same one the lower number counts, and everybody who
reads the ledger finds so. The aliases follow the ledger (registry/projection.py).

A request that is sent again, because its answer got lost, makes a second version: it is not valid, as the first has
become the last one. So a move may be sent until there is an answer.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from mlflow.exceptions import MlflowException

from unblur.errors import StoreSilentError
from unblur.registry import earlier
from unblur.registry.entry import LedgerEntry
from unblur.registry.patience import patiently
from unblur.registry.versions import suppress_existing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SUFFIX = ".ledger"
MOVE_TAG = "move"
SOURCE = "unblur-move:/"
PAGE = 1000  # versions that are read at once


@dataclass(frozen=True)
class Written:
    """A version of the ledger: its number, that of the move which it builds on (0: none), and the move."""

    number: int
    base: int
    token: str
    line: LedgerEntry


def read_ledger(client: "MlflowClient", model: str) -> list[LedgerEntry]:
    """Return every valid move of a model's champion, oldest first; none when nothing was promoted yet.

    Raises:
        UnblurError: a ledger of before cannot be read, or its run is gone.
    """
    return Ledger(client, model).read().lines


@dataclass
class Ledger:
    """The ledger of one model as far as it was read; `read` looks for what is new.

    Attributes:
        valid: the valid moves, oldest first, without those of a ledger of before.
        lines: all valid moves, those of before first.
        lost: number -> what is wrong, of versions that were deleted or changed by hand.
        last: the highest number that was seen.
        rolled_back: version of the model -> when, by whom and why it was rolled back, of those that are out now.
        were_rolled_back: these, and those that came back.
        champions: every version that was champion by the ledger, whether before or after a move.
    """

    client: "MlflowClient"
    model: str
    valid: list[Written] = field(default_factory=list)
    lines: list[LedgerEntry] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    last: int = 0
    rolled_back: dict[int, str] = field(default_factory=dict)
    were_rolled_back: set[int] = field(default_factory=set)
    champions: set[int] = field(default_factory=set)
    _written: list[Written] = field(default_factory=list)
    _earlier: list[LedgerEntry] | None = None

    @property
    def head(self) -> int:
        """Number of the last valid move, 0 for none."""
        return self.valid[-1].number if self.valid else 0

    @property
    def champion(self) -> int | None:
        """The version that the valid moves lead to, None where there are none."""
        return self.lines[-1].after if self.lines else None

    def read(self) -> Self:
        """Read what was written since the last call; the first reads all.

        A number that is missing is looked up by itself: it was deleted, or came between two pages.
        """
        if self._earlier is None:
            self._earlier = _earlier(self.client, self.model)
            self._judge_anew()
        found = {int(version.version): version for version in self._newer()}
        numbers = range(self.last + 1, max([self.last, *found]) + 1)
        versions = [found.get(number) or self._looked_up(number) for number in numbers]
        self.last += len(versions)
        parsed = [self._parsed(number, version) for number, version in zip(numbers, versions, strict=True)]
        new = [written for written in parsed if written is not None]
        self._written += new
        if self.lost:
            self._judge_anew()
        else:
            self._judge(new)
        return self

    def commit(self, line: LedgerEntry) -> bool:
        """Write a move that builds on the last valid one that was read, and tell whether it is valid.

        It is not where another one came first since `read`. A store that is silent for a moment is asked again.

        Raises:
            StoreSilentError: whether it was made could not be learnt.
            UnblurError: the store has refused it.
        """
        base, token = self.head, secrets.token_hex(8)
        name = f"{self.model}{SUFFIX}"
        move = json.dumps({"builds_on": base, **asdict(line)}, ensure_ascii=False)
        before = f"v{line.before}" if line.before else "nothing"
        told = f"{line.action}: {before} -> v{line.after}"

        def write() -> int:
            if not self.last:
                with suppress_existing():
                    self.client.create_registered_model(name, description=f"The ledger of {self.model}; append only.")
            made = self.client.create_model_version(
                name, f"{SOURCE}{token}", tags={MOVE_TAG: move}, description=told, await_creation_for=0
            )
            return int(made.version)

        number = patiently(write)
        patiently(lambda: self._read_to(number))
        return any(written.token == token for written in self.since(base))

    def since(self, number: int) -> list[Written]:
        """Return the valid moves after the one with this number, newest first."""
        newer = []
        for written in reversed(self.valid):
            if written.number <= number:
                break
            newer.append(written)
        return newer

    def _read_to(self, number: int) -> None:
        """Read what is new; reads of a store that has replicas may lag behind its writes.

        Raises:
            StoreSilentError: the version with this number cannot be read yet.
        """
        if self.read().last < number:
            msg = f"version {number} of {self.model}{SUFFIX} was made, but cannot be read yet"
            raise StoreSilentError(msg)

    def _newer(self) -> "Iterator[ModelVersion]":
        token = None
        while True:
            page = self.client.search_model_versions(
                f"name = '{self.model}{SUFFIX}' and version_number > {self.last}",
                max_results=PAGE,
                order_by=["version_number ASC"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _looked_up(self, number: int) -> "ModelVersion | None":
        try:
            return self.client.get_model_version(f"{self.model}{SUFFIX}", str(number))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _parsed(self, number: int, version: "ModelVersion | None") -> Written | None:
        if version is None:
            self.lost[number] = "was deleted"
            return None
        try:
            values: dict[str, Any] = json.loads(version.tags[MOVE_TAG])
            base = int(values.pop("builds_on"))
            return Written(number, base, str(version.source).removeprefix(SOURCE), LedgerEntry(**values))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.lost[number] = "holds no move"
            return None

    def _judge_anew(self) -> None:
        self.valid, self.lines, self.rolled_back = [], [], {}
        self.were_rolled_back, self.champions = set(), set()
        for line in self._earlier or ():
            self._count(line)
        self._judge(self._written)

    def _judge(self, new: Sequence[Written]) -> None:
        """Go on with what was written; one that is lost was valid if a later one builds on it."""
        built_on = {written.base for written in self._written} & self.lost.keys() if self.lost else set()
        head = self.head
        for written in new:
            head = max([head, *(number for number in built_on if number < written.number)])
            if written.base == head:
                self.valid.append(written)
                self._count(written.line)
                head = written.number

    def _count(self, line: LedgerEntry) -> None:
        self.lines.append(line)
        self.champions |= {line.after} if line.before is None else {line.before, line.after}
        if line.action == "rollback" and line.before is not None:
            self.were_rolled_back.add(line.before)
            self.rolled_back[line.before] = f"{line.when} by {line.who}" + (f": {line.why}" if line.why else "")
        self.rolled_back.pop(line.after, None)


def _earlier(client: "MlflowClient", model: str) -> list[LedgerEntry]:
    try:
        tags = client.get_registered_model(model).tags
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return []
    return earlier.read_moves(client, model, tags)
