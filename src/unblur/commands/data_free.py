"""`unblur data free`: free photographs from their authors' public repositories, or from a folder that has them."""

import argparse
from pathlib import Path
from typing import Any

from unblur.config.root import project_root
from unblur.errors import UnblurError

ABOUT = "324 free photographs out of public repositories (140 MB), to train on with data=free"


def add_parser(datasets: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add `free` to the sub-commands of `unblur data`."""
    from unblur.ingest.free import SERVER

    parser = datasets.add_parser("free", help=ABOUT, description=ABOUT)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder that has them, in place of the network")
    parser.add_argument("--out", type=Path, default=Path("free"), help="where, from the project's root (%(default)s)")
    parser.add_argument("--server", default=SERVER, help="a mirror: OWNER/NAME/COMMIT/PATH below it (%(default)s)")
    parser.add_argument("--list", type=Path, help="another list of photographs, in the format of unblur's free.csv")
    parser.set_defaults(build=build_free_dataset)


def build_free_dataset(options: argparse.Namespace) -> None:
    """Bring what is missing, record the folder with DVC, say under which licences the photographs are."""
    from collections import Counter

    from unblur.commands.data_record import dvc_file_of, record
    from unblur.console import console, show_table, tracker, what_next
    from unblur.ingest.free import build_free, read_free_list
    from unblur.ingest.versioning import recorded_md5

    root = project_root()
    data = root / options.out
    dvc_file = dvc_file_of(data, "--out")
    photos = read_free_list(options.list)
    failures = build_free(
        photos,
        data,
        root / ".unblur-cache",
        folder=options.folder,
        server=options.server,
        track=tracker("bringing photographs"),
    )
    if failures:
        for failure in failures:
            console.print(f"failed: {failure}", markup=False, highlight=False, soft_wrap=True)
        msg = f"{options.out} is not complete: {len(failures)} failures, listed above. Run the command again to go on."
        raise UnblurError(msg)
    note = record(data, dvc_file, recorded_md5(dvc_file), root)
    splits = ("train", "val", "test")
    counts = Counter((photo.licence, photo.split) for photo in photos)
    licences = sorted({photo.licence for photo in photos})
    rows = [[licence, *(str(counts[licence, split]) for split in splits)] for licence in licences]
    show_table("licences", ["licence", *splits], rows)
    console.print(f"{options.out}: {len(photos)} photographs, every hash right; {note}", soft_wrap=True)
    where = "" if options.out == Path("free") else f" paths.data={options.out}"
    what_next(*(f"unblur {name} data=free{where}" for name in ("check-data", "prepare", "train")))
