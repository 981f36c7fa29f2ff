"""Paths that come from a user, a list or an archive: none may leave its root."""

from pathlib import Path

from unblur.errors import UnblurError


def inside(root: Path, relative: str) -> Path:
    """Return the absolute path of `relative` below `root`, with symbolic links resolved; it need not exist.

    Raises:
        UnblurError: the path is empty, absolute, or leads out of `root` (through `..` or a link).
    """
    if not relative or "\0" in relative:
        msg = f"{relative!r}: not a path; give one relative to {root}"
        raise UnblurError(msg)
    base = root.resolve()
    path = (base / relative).resolve()
    if Path(relative).is_absolute() or not path.is_relative_to(base):
        msg = f"{relative!r}: leads out of {root}; give a path inside it"
        raise UnblurError(msg)
    return path
