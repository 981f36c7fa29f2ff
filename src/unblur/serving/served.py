"""The model that answers: the one that was given, or of an alias whatever it leads to now."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unblur.errors import NoModelVersionError, UnblurError
from unblur.library.model import Model, load
from unblur.models.catalogue import CHAMPION
from unblur.runtimes.mlflow_reference import VERSION, is_alias, pinned

LOG = logging.getLogger("unblur.serving")
AGAIN_SECONDS = 60.0  # until a version that could not be served is tried again
DIFFERENCE = 0.2  # mean difference of an answer to the picture of the self-test, of 1: restored pictures stay far below


@dataclass(frozen=True)
class Loaded:
    """A model, the reference to its version, "" where it has none, and what else `load` has found it by."""

    model: Model
    reference: str = ""
    source: str = ""

    @property
    def called(self) -> str:
        """Reference to its version, or else what it was loaded by."""
        return self.reference or self.model.name

    @property
    def again(self) -> str:
        """What loads it once more, in another process; "" where nothing does."""
        return self.reference or self.source

    @property
    def reduction(self) -> int:
        """How many times fewer pixels a side the model sees: a file at another reduction is another model."""
        return int(getattr(self.model.restorer, "reduction", 1))

    @property
    def version(self) -> str:
        """Number of the version in the registry, or ""."""
        named = VERSION.fullmatch(self.reference)
        return named[3] or "" if named else ""


@dataclass(frozen=True)
class Alias:
    """What leads to another version from time to time.

    `find` returns the reference of the version that it leads to now, `load` loads that; `seconds` pass between looks.
    """

    find: Callable[[], str]
    load: Callable[[str], Model]
    seconds: float = 5.0


class Served:
    """Holds the model that answers as `now`, and exchanges it for the version that its alias leads to.

    A request takes `now` once: an exchange falls between two requests, and the old model goes with its last one.
    `fault` says in a line why the alias is not followed, "" where it is.
    """

    def __init__(self, first: Loaded, alias: Alias | None = None, tile: int = 512) -> None:
        self.now = first
        self.alias = alias
        self.tile = tile
        self.fault = ""
        self.exchanges = 0
        self._lock = threading.Lock()
        self._failed, self._again = "", 0.0

    def look(self) -> None:
        """Look where the alias leads, and exchange the model if that loads and answers; else all stays as it is."""
        if self.alias is None:
            return
        with self._lock:
            found = ""
            try:
                found = self.alias.find()
                if found == self._failed and time.monotonic() < self._again:
                    return
                if found != self.now.reference:
                    model = self.alias.load(found)
                    check(model, self.tile)
                    self.now = Loaded(model, found)
                    self.exchanges += 1
                    LOG.info("%s answers from now on", found)
                self.fault = self._failed = ""
            except Exception as error:  # whatever it is: the old model goes on
                self._failed, self._again = found, time.monotonic() + AGAIN_SECONDS
                what = f"{found} cannot be served" if found else "the registry cannot be asked for the model's version"
                fault = f"{what}; the log says why"
                if fault != self.fault:
                    LOG.error("%s: %s", what, error, exc_info=not isinstance(error, UnblurError))
                self.fault = fault

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while self.alias is not None:
            await asyncio.sleep(self.alias.seconds)
            await asyncio.to_thread(self.look)


def check(model: Model, tile: int = 512) -> None:
    """Run a model on a picture of the size of a tile, which warms it up too.

    Raises:
        UnblurError: it restores bursts or videos, or its answer is no picture like the one that it got.
    """
    if model.task != "image":
        msg = f"{model.name}: restores {model.task}s; `unblur serve` takes a model for photographs"
        raise UnblurError(msg)
    ramp = np.linspace(0.1, 0.9, tile, dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 0.02, (1, 3, tile, tile))
    picture = ((ramp[:, None] + ramp) / 2 + noise).astype(np.float32)
    answer = model.restorer(picture)
    if answer.shape != picture.shape or not np.abs(answer - picture).mean() < DIFFERENCE:  # false for NaN as well
        msg = f"{model.name}: fails the self-test: what it makes of a plain picture is not like it"
        raise UnblurError(msg)


def load_served(reference: str | None, threads: int | None, seconds: float, tile: int) -> Served:
    """Load what `unblur serve --model` names, check it, and follow it if it is an alias and `seconds` are not 0.

    None is the registry's champion, or where there is none the model that comes with unblur, which stays.

    Raises:
        UnblurError: there is no such model, it cannot be read or run here, or `check` refuses it.
    """
    served = None
    if reference is None:
        try:
            served = _follow(CHAMPION, threads, seconds, tile)
        except NoModelVersionError as error:  # then it is the model in the box
            if not error.is_absent:
                raise
    elif is_alias(reference):
        served = _follow(reference, threads, seconds, tile)
    fixed = reference if reference and VERSION.fullmatch(reference) else ""
    if served is None:
        model = load(reference, threads=threads)
        served = Served(Loaded(model, fixed, reference or model.name), tile=tile)
    check(served.now.model, tile)
    return served


def _follow(reference: str, threads: int | None, seconds: float, tile: int) -> Served:
    def load_version(version: str) -> Model:
        model = load(version, threads=threads)
        model.restorer.name = reference
        return model

    version = pinned(reference)
    alias = Alias(lambda: pinned(reference), load_version, seconds) if seconds else None
    return Served(Loaded(load_version(version), version), alias, tile)
