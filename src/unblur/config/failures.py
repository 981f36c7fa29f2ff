"""What the operating system and the libraries raise, told in one line that says how to mend it.

Exceptions are known by their names, so that no heavy package is imported for a message.
"""

import errno
import os
import re
import shutil
from pathlib import Path

from unblur.config.extras import missing
from unblur.config.library_failures import meaning
from unblur.safety.secrets import masked

AGAIN = "run the same command again"
UNKNOWN = "the database cannot be used; see what `unblur doctor` says of it"

_OF_SYSTEM = {
    errno.EACCES: "no permission; change its owner or mode, or give another folder",
    errno.EPERM: "no permission; change its owner or mode, or give another folder",
    errno.EROFS: "lies on a file system that is read-only; give another folder, or mount it writable",
    errno.EDQUOT: f"your quota is used up; make room, then {AGAIN}",
    errno.EFBIG: "larger than a file may be here; see `ulimit -f`, or give another disk",
    errno.ENOENT: "there is no such file or folder",
    errno.EEXIST: "is there already; give another name, or remove it",
    errno.ENOTDIR: "a file is where a folder is expected; give another folder, or move the file away",
    errno.EISDIR: "is a folder, a file is expected",
    errno.ENAMETOOLONG: "the name is too long for this disk; give a shorter one",
    errno.EMFILE: f"too many files are open; raise `ulimit -n`, then {AGAIN}",
    errno.ENFILE: f"too many files are open on this machine; end other programs, then {AGAIN}",
    errno.EIO: "the disk cannot be read or written there; check it, and take the file from a copy",
    errno.ESTALE: f"the network folder has gone away; mount it again, then {AGAIN}",
    errno.ENOMEM: "out of memory; end other programs, or take smaller patches, tiles or batches",
}

# What a message holds -> what is said in its place, whoever raises it; the first that fits is taken.
_OF_MACHINE = (
    (r"out of ?memory|can't allocate memory|bad allocation|bad_alloc|insufficient memory", _OF_SYSTEM[errno.ENOMEM]),
    (r"No space left|database or disk is full|unexpected pos \d+ vs", f"the disk is full; make room, then {AGAIN}"),
    (r"readonly database|Read-only file system", _OF_SYSTEM[errno.EROFS]),
)  # fmt: skip

# ... and of databases and PyTorch, which have one class for many causes.
_BY_WORDS = (
    *_OF_MACHINE,
    (r"unable to open database file", "its folder is missing or may not be written; give another, or change its mode"),
    (r"database is locked", f"another process is writing to it; wait until that has ended, then {AGAIN}"),
    (r"not a database|malformed", "is damaged; move it away and restore it from a copy, or begin a new one"),
    (
        r"DataLoader worker .* (exited unexpectedly|is killed)",
        "a process that reads data was killed, most often for want of memory; lower data.num_workers",
    ),
    (
        r"\bgloo\b|\bNCCL\b|Connection (closed|reset) by peer|ProcessGroup|TCPStore",
        f"another process of this training has ended, its own message is above if it had one; {AGAIN} to go on",
    ),
    (
        r"loading state_dict",
        "the checkpoint is of another version of the network; start anew with train.resume=false",
    ),
)  # fmt: skip

_OF_NETWORK = {
    *("RequestException", "URLError", "ConnectionError", "TimeoutError", "gaierror", "herror", "SSLError"),
}

_OF_MLFLOW = {
    "INVALID_STATE": f"a run or experiment was deleted; {AGAIN}, which makes a new one, or restore it in MLflow",
    "RESOURCE_DOES_NOT_EXIST": "what was asked for is not there, or was deleted; see `unblur promote --history`",
    "PERMISSION_DENIED": "the server refuses this user; see MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "UNAUTHENTICATED": "the server wants a user; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "TEMPORARILY_UNAVAILABLE": f"the server is busy; {AGAIN} later",
    "REQUEST_LIMIT_EXCEEDED": f"the server takes no more requests now; {AGAIN} later",
    "INVALID_PARAMETER_VALUE": "it does not take what it was given; is it of another version than this machine's?",
}


def explain(error: BaseException) -> str | None:
    """Return one line about a library's error, or None for one that nobody has thought of: a bug of this program."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = masked(" ".join(str(error).split()))
    line = None
    if isinstance(error, ModuleNotFoundError):
        line = missing(error)
    elif "MlflowException" in names:
        code = str(getattr(error, "error_code", ""))
        said = _said(text) or _OF_MLFLOW.get(code) or f"it answers {code.lower()}; see its log"
        line = f"MLflow: {_database(error)}{said} ({text[:200]})"
    elif names & {"DBAPIError", "DatabaseError"}:
        line = f"{_database(error)}{_said(text) or UNKNOWN} ({text[:200]})"
    elif isinstance(error, OSError) and _names_a_file(error) and not names & _OF_NETWORK:
        line = _of_system(error)
    elif isinstance(error, MemoryError) or "OutOfMemoryError" in names:
        line = f"{_OF_SYSTEM[errno.ENOMEM]} ({text[:200] or type(error).__name__})"
    elif mend := _said(text, _OF_MACHINE) or meaning(type(error)):
        line = f"{mend} ({type(error).__name__}: {text[:200]})"
    elif isinstance(error, BrokenPipeError):
        line = f"the program at the other end of a pipe has gone; mend what it says, then {AGAIN} ({text[:200]})"
    elif names & _OF_NETWORK:
        line = f"a server cannot be reached; see the network and the address, then {AGAIN} ({text[:200]})"
    elif isinstance(error, OSError):
        line = _of_system(error)
    elif isinstance(error, RuntimeError) and (mend := _said(text)):
        line = f"{mend} ({text[:200]})"
    return line


def of_worker(message: str) -> str:
    """Return the one line of an error that a process of PyTorch's loader handed on with its whole traceback."""
    if "Original Traceback" not in message:
        return message
    return message.strip().splitlines()[-1].partition(": ")[2]


def _said(text: str, words: tuple[tuple[str, str], ...] = _BY_WORDS) -> str | None:
    return next((mend for pattern, mend in words if re.search(pattern, text, re.IGNORECASE)), None)


def _names_a_file(error: OSError) -> bool:
    return bool(error.filename) and (error.errno == errno.ENOSPC or error.errno in _OF_SYSTEM)


def _of_system(error: OSError) -> str:
    if error.errno is None:
        text = masked(" ".join(str(error).split())) or "a file cannot be used"
        return f"{text}: {_said(text) or 'is it damaged, or on a disk that is?'}"
    name = masked(str(error.filename2 or error.filename or Path.cwd()))
    if error.errno == errno.ENOSPC:
        return f"{name}: the disk is full ({_free(Path(name))} MB free); make room, then {AGAIN}"
    unknown = f"{os.strerror(error.errno).lower()}; is it damaged, or on a disk that is?"
    return f"{name}: {_OF_SYSTEM.get(error.errno, unknown)}"


def _free(path: Path) -> int:
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free // 1_000_000


def _database(error: BaseException) -> str:
    """Name the database file where one is meant: SQLite does not."""
    if "sqlite" not in f"{type(error).__module__} {error}".lower():
        return ""
    from unblur.config.tracking import tracking_uri

    return f"{masked(tracking_uri()).removeprefix('sqlite:///')}: "
