"""`unblur data explain MANIFEST ROW`: a figure of how a pair was made."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unblur.config.root import project_root
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.blur.recipe import Recipe
    from unblur.data.manifest import PairRow


def add_parser(datasets: Any) -> None:  # noqa: ANN401 (argparse keeps the type to itself)
    """Add `explain` to the sub-commands of `unblur data`."""
    about = "draw how a pair was made, from its row of the manifest"
    parser = datasets.add_parser("explain", help=about, description=about)
    parser.add_argument("manifest", type=Path, help="manifest.csv of prepared or averaged pairs, or of an import")
    parser.add_argument("row", help="the pair's name, or its number from 0")
    parser.add_argument("--out", type=Path, default=Path("pair.png"), help="the figure (%(default)s)")
    parser.add_argument("--root", type=Path, help="the photographs or videos that it was made of (data)")
    parser.add_argument("--overwrite", action="store_true", help="replace the figure, whatever it is")
    recipe = parser.add_mutually_exclusive_group()
    recipe.add_argument("--blur", metavar="RECIPE", help="the recipe that made it: a name in conf/blur")
    recipe.add_argument("--config", type=Path, help="or a composed configuration (artifacts/config/pipeline.yaml)")
    parser.set_defaults(build=explain_pair)


def explain_pair(options: argparse.Namespace) -> None:
    """Make one pair again, compare it with the stored SHA-256, and draw how it came about."""
    from rich.markup import escape

    from unblur.console import console
    from unblur.data.images import made_by
    from unblur.data.manifest import FRAME_AVERAGE, read_rows
    from unblur.ingest.explain import SOFTWARE, explain, explain_average, find_row, show_pair
    from unblur.ingest.layouts.known import LAYOUTS
    from unblur.safety.owned import check_replaceable

    root = project_root()
    check_replaceable(options.out, made_by(SOFTWARE), options.overwrite)
    row = find_row(read_rows(options.manifest, "give a manifest.csv of `unblur prepare` again"), options.row)
    made = "made again byte for byte"
    if row.kind == FRAME_AVERAGE:
        videos = options.root or root / "data"
        if not (videos / row.source).is_file():
            msg = f"{videos / row.source}: there is no such video; say with --root which folder holds it"
            raise UnblurError(msg)
        explain_average(row, videos, options.out)
    elif row.kind in LAYOUTS:
        made = "as it is: averaged from a video" if row.kind == "averaged" else "as it is: a camera made it"
        show_pair(row, _files_root(options.manifest), options.out)
    else:
        explain(row, root / (options.root or "data"), _recipe(options, row), options.out)
    console.print(f"{escape(str(options.out))}: pair {escape(row.pair)}, {made}", soft_wrap=True)


def _recipe(options: argparse.Namespace, row: "PairRow") -> "Recipe":
    """Return the recipe that the options name; with the frames of the row, if it has some."""
    from omegaconf import OmegaConf

    from unblur.config.compose import compose
    from unblur.config.instantiate import instantiate

    if options.blur:
        frames = row.parameters.get("frames", 1)
        return cast("Recipe", instantiate(compose([f"blur={options.blur}", f"data.frames={frames}"]).blur))
    config = options.config or project_root() / "artifacts/config/pipeline.yaml"
    if not config.is_file():
        msg = f"{config}: there is no such configuration; name the recipe with --blur, or run `unblur compose`"
        raise UnblurError(msg)
    return cast("Recipe", instantiate(OmegaConf.load(config).blur))


def _files_root(manifest: Path) -> Path:
    """Return the folder of a manifest's files: beside a prepared one, elsewhere for an imported one."""
    from unblur.ingest.imported import read_imported

    return read_imported(manifest).root if manifest.with_suffix(".json").is_file() else manifest.parent
