"""What a person sees: tables, progress bars and what to do next."""

from collections.abc import Callable, Iterable, Sequence, Sized
from itertools import zip_longest
from typing import Any, TypeVar

from rich import markup
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from unblur.safety.secrets import masked

T = TypeVar("T")
Track = Callable[[Iterable[Any]], Iterable[Any]]


class _MaskedConsole(Console):
    """Masks texts before they are wrapped: afterwards a password may stand on two lines."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Turn a text into what is shown of it."""
        return super().render_str(masked(text), **options)


console = _MaskedConsole()
escape = markup.escape  # for the stages, which know no rich


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> None:
    """Print a table; the first `texts` columns are text, the others are figures."""
    cells = [[str(cell) for cell in row] for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold", show_header=any(columns))
    for index, (column, width) in enumerate(zip(columns, _widths(columns, cells), strict=False)):
        table.add_column(column, justify="left" if index < texts else "right", overflow="fold", width=width)
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return a width for each column, which fit side by side: words get room first, those of headers last, then lines.

    Rich alone narrows the widest columns whatever words are in them, and breaks these in two.
    """
    room = console.width - 3 * len(columns) - 1  # without borders, and a space on both sides of each column
    unwrapped = console.options.update(width=10_000)
    inside, words, lines = [], [], []
    for column in zip_longest(columns, *rows, fillvalue=""):
        spans = [Measurement.get(console, unwrapped, cell) for cell in column]
        inside.append(max((span.minimum for span in spans[1:]), default=0))
        words.append(max(span.minimum for span in spans))
        lines.append(max(span.maximum for span in spans))
    least = 2 if 2 * len(words) <= room else 1  # a Chinese character takes two
    widths = [max(1, min(least, word)) for word in words]
    for wanted in (inside, words, lines):
        widths = _widened(widths, wanted, room)
    return widths


def _widened(widths: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """Share out what is left of the room, alike among the columns that want more; those that lack least come first."""
    new = list(widths)
    lacking = sorted((want - width, at) for at, (width, want) in enumerate(zip(widths, wanted, strict=True)))
    lacking = [(lack, at) for lack, at in lacking if lack > 0]
    for done, (lack, at) in enumerate(lacking):
        new[at] += min(lack, max(0, room - sum(new)) // (len(lacking) - done))
    return new


def tracker(description: str, total: int | None = None) -> Track:
    """Return a function that passes a sequence's items on and shows how far it has come and how long it will take.

    Of what has no length, `total` says how many there are.
    """

    def track(items: Iterable[T]) -> Iterable[T]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            count = len(items) if total is None and isinstance(items, Sized) else total
            yield from progress.track(items, description=description, total=count)

    return track


def what_next(*lines: str) -> None:
    """End a command with what its user will want to do now."""
    console.print("[bold]What next?[/bold]")
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)  # a command is copied as a whole


def say_training() -> None:
    """Show what a training says: lines where there is no progress bar, and nothing that is of no use."""
    import logging
    import re
    import warnings

    if not console.is_terminal:  # no progress bar there: a line for each validation instead
        logging.basicConfig(format="%(message)s")
        logging.getLogger("unblur").setLevel(logging.INFO)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)  # no advertisements
    for known in ("Checkpoint directory", "`isinstance(treespec, LeafSpec)`"):  # right, and nothing to do about it
        warnings.filterwarnings("ignore", message=re.escape(known))
