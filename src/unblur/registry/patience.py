"""Waiting for a store that is busy or not there for a moment, where a call may be made twice."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from unblur.config.tracking import store_errors
from unblur.errors import StoreSilentError, UnblurError

Answer = TypeVar("Answer")

PATIENCE_SECONDS = 15.0
BUSY = (
    "Giving up",  # MLflow, after three tries for a version's number
    "database is locked",
    "deadlock detected",
    "UNIQUE constraint failed",  # two have set the same new tag or alias at once
    "duplicate key",
    "Duplicate entry",
)
"""What is said where others write at the same moment, and goes by."""


def patiently(call: Callable[[], Answer]) -> Answer:
    """Call until the store answers, and return what it says; the call has to be one that may be made twice.

    Raises:
        StoreSilentError: the store has not answered for PATIENCE_SECONDS.
        UnblurError: it has refused.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with store_errors():
                return call()
        except UnblurError as error:
            passing = isinstance(error, StoreSilentError) or any(each in str(error) for each in BUSY)
            if not passing or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 (so that two do not meet again)
