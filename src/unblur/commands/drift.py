"""`unblur drift`: whether photographs and answers are still of the kind that they were."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.drift.compare import Comparison
    from unblur.drift.window import Window

FOUND = 4
PREPARED = Path("artifacts/prepared")
DESCRIPTION = """Compare the statistics of many photographs, and of the answers to them, with those of a reference.
Each is what `unblur serve --statistics FOLDER` has written, a file of `--keep`, a folder of photographs, or one of
prepared pairs (training and validation). Exit code 4: drift was found."""


@command
def main(argv: list[str]) -> int:
    """Compare, show, write and tell; return 4 where drift was found, 1 where none was but files could not be read."""
    options = _parse(argv)

    from PIL import Image

    from unblur.console import tracker
    from unblur.drift.columns import write_rows
    from unblur.drift.compare import compare
    from unblur.drift.recorder import MAX_PIXELS
    from unblur.drift.webhook import check_address, post
    from unblur.drift.window import read_window
    from unblur.safety.owned import check_replaceable

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow's own limit, below that of today's telephones
    if options.webhook:
        check_address(options.webhook)
    for file, ours in ((options.out, _is_page), (options.keep, _is_statistics)):
        if file:
            check_replaceable(file, ours, options.overwrite)
    track = iter if options.json else tracker("photographs")
    window = read_window(options.window, options.since, options.until, track)
    unread = [*window.unread]
    found: tuple[Comparison, ...] = ()
    if options.keep:
        write_rows(options.keep, window.rows)
        _say(f"{options.keep}: statistics of {len(window)} photographs, to be a REFERENCE", options)
    else:
        reference = read_window(options.reference or PREPARED, track=track)
        unread += reference.unread
        found = compare(window, reference, options.alpha, options.least_psi)
        if not found:
            msg = f"{window.name} and {reference.name}: no statistic that both have; give a reference of the same kind"
            raise UnblurError(msg)
        _tell(window, reference, found, options)
    for line in unread:
        print(f"error: {line}", file=sys.stderr)
    drifted = [each for each in found if each.drifted]
    if drifted and options.webhook:
        try:
            post(options.webhook, _content(window, reference, drifted))
        except UnblurError as error:  # drift is what the exit code has to say
            print(f"error: {error}", file=sys.stderr)
    return FOUND if drifted else 1 if unread else 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="unblur drift", description=DESCRIPTION)
    parser.add_argument("window", metavar="WINDOW", type=Path, help="what is looked at")
    parser.add_argument(
        "reference", metavar="REFERENCE", type=Path, nargs="?", help=f"what it is compared with (default: {PREPARED})"
    )
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help="of WINDOW, such as 2026-05-01 or 2026-05-01T12:00"
    )
    parser.add_argument("--until", type=_moment, metavar="TIME", help="of WINDOW; UTC where no time zone is said")
    parser.add_argument("--out", type=Path, metavar="PAGE.html", help="write a page with the distributions")
    parser.add_argument("--keep", type=Path, metavar="FILE.parquet", help="keep WINDOW as a reference; compare nothing")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--webhook", metavar="URL", help="post a small JSON there where drift is found")
    parser.add_argument("--alpha", type=float, default=0.01, help="share of false alarms (default: %(default)s)")
    parser.add_argument("--least-psi", type=float, default=0.1, help="least change that counts (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace what unblur did not write")
    options = parser.parse_args(argv)
    if not 0 < options.alpha < 1 or not options.least_psi >= 0:
        parser.error("--alpha lies between 0 and 1, --least-psi is at least 0")
    if options.keep and (options.reference or options.out or options.webhook):
        parser.error("--keep compares nothing: leave out REFERENCE, --out and --webhook")
    if options.keep and options.keep.suffix != ".parquet":
        parser.error(f"--keep {options.keep}: name a file that ends in .parquet")
    return options


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        msg = f"{text}: outside the calendar, which has the years 1 to 9999 in UTC"
        raise argparse.ArgumentTypeError(msg) from None


def _tell(window: "Window", reference: "Window", found: "Sequence[Comparison]", options: argparse.Namespace) -> None:
    """Show the table or the JSON, and write the page."""
    from unblur.console import console, show_table, what_next
    from unblur.drift.page import render, shown_p, verdict
    from unblur.safety.atomic import replacing

    drifted = [each for each in found if each.drifted]
    notes, next_ = _notes(window, reference), _next(drifted, options.out)
    if options.json:
        print(json.dumps(_content(window, reference, found) | {"notes": notes}, indent=1))
    else:
        columns = ["statistic", "of", "window", "reference", "worth", "p", "PSI", ""]
        rows = [
            [
                *(each.name, each.side, each.window, each.reference, str(each.independent)),
                *(shown_p(each.p), f"{each.psi:.2f}", verdict(each)),
            ]
            for each in found
        ]
        title = f"Drift: {', '.join(each.name for each in drifted)}" if drifted else "No drift"
        show_table(f"{title} ({len(window)} photographs against {len(reference)})", columns, rows, texts=2)
        for note in notes:
            console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if options.out:
        with replacing(options.out) as unfinished:
            unfinished.write_text(render(window, reference, found, notes, next_), encoding="utf-8")
    if not options.json:
        what_next(*next_)


def _notes(window: "Window", reference: "Window") -> list[str]:
    """Say what has to be known of both to read the figures."""
    notes = []
    for what, each in (("window", window), ("reference", reference)):
        if len(each.models) > 1:
            notes.append(
                f"the {what} holds answers of {len(each.models)} models; --since and --until choose one's time"
            )
    if len(window.models) == len(reference.models) == 1 and window.models != reference.models:
        notes.append("window and reference were answered by different models: outputs may differ for that alone")
    return notes


def _next(drifted: "Sequence[Comparison]", out: Path | None) -> list[str]:
    if not drifted:
        return ["nothing: the model was judged on photographs of this kind"]
    lines = [] if out else ["the same command with --out PAGE.html shows both distributions"]
    if any(each.side == "input" for each in drifted):
        lines.append("the photographs have changed: import such pairs (`unblur data import`), then `unblur retrain`")
        lines.append(
            "if it is here to stay and the answers are good, a new reference: `unblur drift WINDOW --keep FILE.parquet`"
        )
    else:
        lines.append("the answers have changed, the photographs have not: `unblur promote --history` tells the model's")
    return lines


def _content(window: "Window", reference: "Window", found: "Sequence[Comparison]") -> dict[str, object]:
    return {
        "drift": any(each.drifted for each in found),
        "window": window.name,
        "reference": reference.name,
        "photographs": [len(window), len(reference)],
        "models": window.models,
        "statistics": [asdict(each) for each in found],
    }


def _say(line: str, options: argparse.Namespace) -> None:
    if not options.json:
        print(line)


def _is_page(path: Path) -> bool:
    return "<title>unblur drift: " in path.read_text(encoding="utf-8", errors="replace")[:2000]


def _is_statistics(path: Path) -> bool:
    from unblur.drift.columns import read_rows

    try:
        return bool(read_rows(path))
    except UnblurError:
        return False


if __name__ == "__main__":
    main()
