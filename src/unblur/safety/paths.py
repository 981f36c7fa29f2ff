"""Paths and names that come from a user, a list or an archive: none may leave its root."""

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


def file_name(name: str) -> str:
    """Return `name`, which may be that of a file or folder: one part, so that nothing joined with it leaves its folder.

    Raises:
        UnblurError: it is empty, `.` or `..`, has a separator, a colon or a control character, or is over 240 bytes.
    """
    if name in ("", ".", "..") or set(name) & set("/\\:") or not name.isprintable() or len(name.encode()) > 240:
        msg = f"{name[:80]!r}: no name of a file; give one without separators, at most 240 bytes long"
        raise UnblurError(msg)
    return name
