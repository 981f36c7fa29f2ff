"""`unblur data import`: a published dataset, or a folder of one's own, becomes a manifest; no file is moved."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.config.root import project_root
from unblur.errors import UsageError

if TYPE_CHECKING:
    from unblur.ingest.imported import Imported

ABOUT = "write the manifest of a dataset that you have: GoPro, RealBlur, BSD, ... or a folder of your own"


def add_parser(datasets: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add `import` to the sub-commands of `unblur data`."""
    from unblur.ingest.layouts.known import LAYOUTS

    lines = "\n".join(f"  {name:<13}{layout.about}\n{'':15}{layout.expects}" for name, layout in LAYOUTS.items())
    parser = datasets.add_parser(
        "import",
        help=ABOUT,
        description=ABOUT,
        epilog=f"layouts:\n{lines}".replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("layout", metavar="LAYOUT", help="one of the layouts below")
    parser.add_argument("path", metavar="PATH", type=Path, help="the dataset's folder")
    parser.add_argument("--name", help="what to call it (default: the layout's name)")
    parser.add_argument("--out", type=Path, help="the manifest (default: data/imported/NAME.csv)")
    parser.add_argument(
        "--hold-out",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="of the training scenes, for validation and test where the dataset has none (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the manifest of another dataset, or any file")
    parser.set_defaults(build=import_layout)


def import_layout(options: argparse.Namespace) -> None:
    """Read the layout, hash the files, write the manifest, show what was found."""
    from rich.markup import escape

    from unblur.config.suggest import nearest
    from unblur.console import console, show_table, tracker
    from unblur.ingest.imported import import_dataset, is_import_of, summary, write_imported
    from unblur.ingest.layouts.known import LAYOUTS
    from unblur.safety.owned import check_replaceable

    if options.layout not in LAYOUTS:
        msg = f"there is no layout {options.layout!r}{nearest(options.layout, LAYOUTS)}; {', '.join(LAYOUTS)}"
        raise UsageError(msg)
    name = options.name or options.layout
    if Path(name).name != name or name.startswith("."):
        msg = f"--name {name!r}: expected a plain name, such as {options.layout}"
        raise UsageError(msg)
    target = options.out or project_root() / "data" / "imported" / f"{name}.csv"
    if target.suffix != ".csv":
        msg = f"--out {target}: expected a name that ends in .csv"
        raise UsageError(msg)
    LAYOUTS[options.layout].require_folder(options.path.expanduser())
    for file in (target, target.with_suffix(".json")):
        check_replaceable(file, lambda _: is_import_of(target, options.layout, options.path), options.overwrite)
    dataset = import_dataset(
        LAYOUTS[options.layout], options.path, hold_out=options.hold_out, track=tracker("Hashing files")
    )
    sizes = _sizes(dataset)
    write_imported(target, dataset)
    what = "pairs" if dataset.has_pairs else "files"
    show_table(escape(f"{name}: {dataset.root}"), ["split", "scenes", what, "size"], summary(dataset, sizes))
    console.print(f"written to {escape(str(target))}; the files stay where they are", soft_wrap=True)
    _what_next(dataset, target)


def _sizes(dataset: "Imported") -> list[tuple[int, int]]:
    """Return width and height of each row's sharp picture, (0, 0) for what is none."""
    from unblur.images.header import check_image_header
    from unblur.ingest.layouts.layout import is_picture

    sizes = []
    for row in dataset.rows:
        path = dataset.root / row.sharp
        if is_picture(path):
            header = check_image_header(path)
            sizes.append((header.width, header.height))
        else:
            sizes.append((0, 0))
    return sizes


def _what_next(dataset: "Imported", target: Path) -> None:
    from rich.markup import escape

    from unblur.config.compose import compose
    from unblur.config.presets import network_for
    from unblur.console import what_next

    root = project_root()
    shown = target.resolve().relative_to(root) if target.resolve().is_relative_to(root) else target
    lines = []
    if shown.parts[0] == "data":
        lines.append("dvc add data     records the manifest, and with it the hash of every file")
    if dataset.layout == "videos":
        lines.append(f"unblur data average {dataset.root} averaged/     makes blurred and sharp pairs of them")
    else:
        preset = f"data={dataset.layout} data.source.manifest={shown}"
        network = network_for(compose([f"data={dataset.layout}"]).data.task)
        lines += [f"unblur {command}{preset}" for command in ("check-data ", "prepare ", f"train {network}")]
    lacking = [split for split in ("val", "test") if not any(row.split == split for row in dataset.rows)]
    if lacking:
        lines.append(f"no pairs for {' and '.join(lacking)}: give --hold-out, or more scenes")
    what_next(*map(escape, lines))
