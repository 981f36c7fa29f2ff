"""The one exception family: each is a mistake that the user can mend, told in one line."""


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


class MissingPackageError(UnblurError):
    """A package is not installed; the message names the extra that brings it."""


class NoModelVersionError(UnblurError):
    """The registry cannot be reached, or has no such model."""


class StoreSilentError(UnblurError):
    """The server or database of MLflow does not answer."""


class LostFileError(UnblurError):
    """The registry has the version, but its stored file is gone, damaged or another."""
