"""`unblur data diff REV`: what changed in the dataset since a commit."""

import argparse
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.root import project_root
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.ingest.version_diff import Change, Version

ABOUT = "what changed in the dataset since a commit: added, removed, changed, by split, with thumbnails"
SHOWN = 40


def add_parser(datasets: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add `diff` to the sub-commands of `unblur data`."""
    parser = datasets.add_parser("diff", help=ABOUT, description=ABOUT)
    parser.add_argument("rev", metavar="REV", help="a commit, branch or tag of git: v1.0, HEAD~3")
    parser.add_argument("--out", type=Path, help="the thumbnails (default: reports/data_diff.png)")
    parser.add_argument("--overwrite", action="store_true", help="replace the thumbnails, whatever they are")
    parser.set_defaults(build=show_diff)


def show_diff(options: argparse.Namespace) -> None:
    """Compare data.dvc at REV with data.dvc now."""
    from rich.markup import escape

    from unblur.console import console, show_table, what_next
    from unblur.data.images import made_by
    from unblur.ingest.contact_sheet import SOFTWARE
    from unblur.ingest.version_diff import compare, count_by_split, read_version
    from unblur.ingest.versioning import recorded_md5
    from unblur.safety.owned import check_replaceable

    root = project_root()
    target = options.out or root / "reports" / "data_diff.png"
    check_replaceable(target, made_by(SOFTWARE), options.overwrite)
    earlier, now = md5_at(options.rev, root), recorded_md5(root / "data.dvc")
    if now is None:
        msg = f"{root / 'data.dvc'}: records no version of the data; run `dvc add data`"
        raise UnblurError(msg)
    rev = escape(options.rev)
    console.print(f"{rev}: {earlier}\nnow: {now}", highlight=False)
    if earlier == now:
        console.print("data.dvc records the same version: nothing changed. Edits of data/ count after `dvc add data`.")
        return
    before, after = read_version(earlier, root), read_version(now, root)
    changes = compare(before, after)
    kinds = ["added", "removed", "changed", "renamed", "moved"]
    show_table("Files by split", ["split", rev, "now", *kinds], count_by_split(before, after, changes))
    rows = [[escape(text) for text in (each.file, each.what, each.split, each.detail)] for each in changes[:SHOWN]]
    show_table(f"{len(changes)} changes", ["file", "what", "split", "formerly"], rows)
    if len(changes) > SHOWN:
        console.print(f"and {len(changes) - SHOWN} more")
    if count := write_thumbnails(changes, before, after, root, target):
        console.print(f"{count} of them as thumbnails: {escape(str(target))}", soft_wrap=True)
    what_next("unblur check-data", "dvc repro     trains again on what changed")


def md5_at(rev: str, root: Path) -> str:
    """Return the hash that data.dvc recorded at a commit.

    Raises:
        UnblurError: there is no such commit, or data.dvc was not there, or recorded nothing.
    """
    from unblur.ingest.versioning import md5_in

    command = ["git", "-C", str(root), "show", f"{rev}:./data.dvc"]
    if rev.startswith("-"):
        msg = f"{rev!r} is no commit; give a commit, branch or tag"
        raise UnblurError(msg)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        msg = f"git cannot be started ({error}); `unblur data diff` needs it"
        raise UnblurError(msg) from error
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()).removeprefix("fatal: ")
        msg = f"data.dvc at {rev!r} cannot be read: {reason}; give a commit that has it, see `git log -- data.dvc`"
        raise UnblurError(msg)
    md5 = md5_in(done.stdout)
    if md5 is None:
        msg = f"data.dvc at {rev!r} records no MD5; give another commit, see `git log -- data.dvc`"
        raise UnblurError(msg)
    return md5


def write_thumbnails(changes: "list[Change]", before: "Version", after: "Version", root: Path, target: Path) -> int:
    """Write the changed pictures, before and after, as a contact sheet; return how many, 0 without a file."""
    from unblur.ingest.contact_sheet import Tile, write_contact_sheet
    from unblur.ingest.layouts.layout import is_picture
    from unblur.ingest.version_diff import pictures_of

    shown = [change for change in changes if is_picture(Path(change.file))][:SHOWN]
    target.unlink(missing_ok=True)
    if shown:
        tiles = [
            Tile(
                change.file,
                " ".join((change.what, change.split, change.detail)),
                pictures_of(change, before, after, root),
            )
            for change in shown
        ]
        write_contact_sheet(target, tiles)
    return len(shown)
