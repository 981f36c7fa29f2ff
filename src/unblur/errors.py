"""The one exception family: each is a mistake that the user can mend, told in one line."""

import re

# Also what turns the direction of text around: a name that holds it would be read as another.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """Return a message with every control character in it written as an escape.

    The name of a file may hold any of them: a line end would make two lines of one, an escape would command the
    terminal.
    """
    return _UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class UnblurError(Exception):
    """Something the user can mend: the message names the thing, says what is wrong and how to mend it.

    The command line prints it as one line and ends with `exit_code`.
    """

    exit_code = 1


class UsageError(UnblurError):
    """The command was called wrongly: an unknown option, override or value."""

    exit_code = 2


class GateRefusedError(UnblurError):
    """The promotion gate said no."""

    exit_code = 3


class ServerFaultError(UnblurError):
    """The machine or the model has failed, not what was given to it: the same may do another time."""


class BrokenModelError(ServerFaultError):
    """The model itself cannot be run, whatever the photograph."""


class MissingPackageError(UnblurError):
    """A package is not installed; the message names the extra that brings it."""


class NoModelVersionError(UnblurError):
    """The registry cannot be reached, or has no such model."""

    @property
    def is_absent(self) -> bool:
        """Whether the registry says that there is none; not where it, or the store of its files, does not answer."""
        code = getattr(self.__cause__, "error_code", "")  # MLflow's; an alias that is not there is an invalid value
        return self.__cause__ is None or code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class StoreSilentError(UnblurError):
    """The server or database of MLflow does not answer."""


class LostFileError(UnblurError):
    """The registry has the version, but its stored file is gone, damaged or another."""


class UntrustedModelError(LostFileError):
    """A model has no signature of a trusted key, or not of the files that it has."""
