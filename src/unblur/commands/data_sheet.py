"""`unblur data sheet`: what the recipes of conf/blur make of a photograph, as contact sheets."""

import argparse
from pathlib import Path
from typing import Any

from unblur.config.root import project_root
from unblur.errors import UnblurError, UsageError

FRAMES = 7  # of videos and bursts


def add_parser(datasets: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add `sheet` to the sub-commands of `unblur data`."""
    about = "show what blur recipes make of a photograph: a contact sheet of each"
    parser = datasets.add_parser("sheet", help=about, description=about)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names in conf/blur (all of them)")
    parser.add_argument("--photo", type=Path, help="the photograph (the first one of data/SOURCES.json)")
    parser.add_argument("--side", type=int, default=256, help="of the part that is shown, in pixels (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder of the sheets (artifacts/sheets)")
    parser.add_argument("--overwrite", action="store_true", help="write into it, whoever made what is in it")
    parser.set_defaults(build=write_sheets)


def write_sheets(options: argparse.Namespace) -> None:
    """Write RECIPE.png for each recipe."""
    from rich.markup import escape

    from unblur.config.compose import compose, config_dir
    from unblur.config.instantiate import instantiate
    from unblur.config.suggest import nearest
    from unblur.console import console
    from unblur.data.images import read_rgb
    from unblur.ingest.recipe_sheet import write_recipe_sheet
    from unblur.safety.owned import claim_folder

    root = project_root()
    known = sorted(path.stem for path in (config_dir() / "blur").glob("*.yaml"))
    for name in options.recipes:
        if name not in known:
            msg = f"there is no recipe {name!r}{nearest(name, known)}; conf/blur has {', '.join(known)}"
            raise UsageError(msg)
    photo = read_rgb(options.photo or _first_photo(root / "data"))
    out = options.out or root / "artifacts" / "sheets"
    claim_folder(out, "data sheet", overwrite=options.overwrite)
    for name in options.recipes or known:
        recipe = instantiate(compose([f"blur={name}", f"data.frames={FRAMES}"]).blur)
        write_recipe_sheet(out / f"{name}.png", recipe, photo, side=options.side)
        console.print(escape(str(out / f"{name}.png")), soft_wrap=True)


def _first_photo(data: Path) -> Path:
    from unblur.data.manifest import read_sources

    sources = read_sources(data)
    if not sources:
        msg = f"{data}: lists no photograph; name one with --photo"
        raise UnblurError(msg)
    return data / sources[0].file
