"""`unblur data pack` and `unblur data verify`: a dataset as shards of tiles, for fast reading and for streaming."""

import argparse
import math
from pathlib import Path

from unblur.errors import UnblurError, UsageError


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both to the commands of `unblur data`."""
    about = "cut photographs or pairs into shards of tiles, which training reads many times faster than pictures"
    parser = commands.add_parser("pack", help=about, description=about)
    what = "manifest.csv, an import's NAME.csv, data root or folder"
    parser.add_argument("source", type=Path, metavar="MANIFEST_OR_ROOT", help=what)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the shards; the same call again goes on")
    parser.add_argument("--split", default="train", help="which split of a list (%(default)s)")
    parser.add_argument("--tile", type=int, default=512, help="side of a tile in pixels (%(default)s)")
    parser.add_argument("--overlap", type=int, help="least overlap of tiles in pixels (a quarter of a tile)")
    parser.add_argument("--min-side", type=int, help="leave smaller photographs out (half of a tile)")
    parser.add_argument("--shard-mb", type=float, default=256, help="most megabytes of a shard (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="take OUT over, whoever made what is in it")
    parser.set_defaults(build=pack_shards)
    about = "hold every shard against its SHA-256"
    parser = commands.add_parser("verify", help=about, description=about)
    parser.add_argument("folder", type=Path, metavar="SHARDS", help="folder of the shards")
    parser.set_defaults(build=verify_shards)


def pack_shards(options: argparse.Namespace) -> None:
    """Pack, and say what came out."""
    from rich.markup import escape

    from unblur.console import console, show_table, tracker, what_next
    from unblur.ingest.pack import pack
    from unblur.safety.owned import claim_folder

    shard_bytes = options.shard_mb * 1e6
    if not 1 <= shard_bytes < math.inf:
        msg = f"--shard-mb {options.shard_mb:g}: expected megabytes above 0, such as 256"
        raise UsageError(msg)
    names = ("split", "tile", "overlap", "min_side", "shard_mb")
    made_of = {"source": options.source.resolve(), **{name: getattr(options, name) for name in names}}
    claim_folder(options.out, "data pack", made_of, options.overwrite)
    packed = pack(
        options.source,
        options.out,
        split=options.split,
        tile=options.tile,
        overlap=options.overlap,
        min_side=options.min_side,
        shard_bytes=int(shard_bytes),
        track=(tracker("hashing photographs"), tracker("writing shards")),
    )
    if packed.too_small:
        console.print(f"left out, too small: {', '.join(packed.too_small)}", markup=False)
    index = packed.index
    gigabytes = sum(shard.bytes for shard in index.shards) / 1e9
    rows = [
        ["sides", " and ".join(index.sides)],
        ["tiles", str(index.table.tiles)],
        ["shards", f"{len(index.shards)} ({packed.kept} were there)"],
        ["size", f"{gigabytes:.2f} GB"],
    ]
    out = escape(str(options.out))
    show_table(f"shards in {out}", ["", ""], rows)
    what_next(f"unblur train data.shards={out}", "the same folder in a bucket: data.shards=s3://BUCKET/FOLDER")


def verify_shards(options: argparse.Namespace) -> None:
    """Say that all is right, or which files are not."""
    from rich.markup import escape

    from unblur.console import console, tracker
    from unblur.data.shard_index import verify

    wrong = verify(options.folder, tracker("verifying"))
    for line in wrong:
        console.print(f"wrong: {line}", markup=False, highlight=False, soft_wrap=True)
    if wrong:
        msg = f"{options.folder}: {len(wrong)} files are wrong, listed above; run `unblur data pack` again"
        raise UnblurError(msg)
    console.print(f"{escape(str(options.folder))}: every SHA-256 is right", soft_wrap=True)
