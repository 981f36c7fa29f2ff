"""`unblur sweep`: train many times with values that Optuna chooses, and say which are the best.

Called again it goes on, to SPACE.yaml's number of trials in total. Several may run at once, on many machines with
PostgreSQL (docs/sweeps.md). Nothing of the test split is read.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.entry import command

if TYPE_CHECKING:
    import optuna

    from unblur.sweeping.space import Space

SHOWN = 10


@command
def main(argv: list[str]) -> int:
    """Search, write the results and show the best; exit code 1 if no trial is done."""
    parser = argparse.ArgumentParser(prog="unblur sweep", description=__doc__)
    parser.add_argument("space", type=Path, metavar="SPACE.yaml", help="objectives, trials, and the values of each key")
    parser.add_argument("overrides", nargs="*", help="what all trials have in common, such as experiment=box")
    parser.add_argument("--trials", type=int, help="that there shall be in the end, in place of the file's")
    parser.add_argument("--workers", type=int, default=1, help="trials at once on this machine (1)")
    parser.add_argument("--outside", action="store_true", help="`paths` may lead out of the project")
    parser.add_argument("--overwrite", action="store_true", help="replace what unblur did not make")
    options = parser.parse_intermixed_args(argv)

    import os

    from unblur.config.root import OUTSIDE
    from unblur.errors import UnblurError, UsageError
    from unblur.safety.owned import OVERWRITE
    from unblur.sweeping.page import write_page
    from unblur.sweeping.results import best_trials, files_of, values_of, write_results
    from unblur.sweeping.space import read_space
    from unblur.sweeping.tracking import close_run
    from unblur.sweeping.worker import sweep

    if options.workers < 1:
        msg = f"--workers {options.workers}: expected at least 1"
        raise UsageError(msg)
    for given, variable in ((options.outside, OUTSIDE), (options.overwrite, OVERWRITE)):
        if given:
            os.environ[variable] = "1"  # which the trials inherit
    space = read_space(options.space, options.overrides, options.trials)
    study = sweep(space, options.workers, lambda line: print(line, flush=True))
    write_results(space, study)
    write_page(space, study)
    front = best_trials(study)
    best = {name: value for name, value in values_of(space, front[0]).items() if value is not None} if front else {}
    close_run(study, best, files_of(space))
    show(space, study)
    if not front:
        msg = f"{space.name}: no trial is done; see {space.folder / 'results.csv'} for why, and the trials' train.log"
        raise UnblurError(msg)
    return 0


def show(space: "Space", study: "optuna.Study") -> None:
    """Print the best trials, and what to do with them."""
    from rich.markup import escape

    from unblur.console import show_table, what_next
    from unblur.sweeping.results import (
        BEST,
        PAGE,
        best_trials,
        command_of,
        minutes,
        ranked,
        shown,
        state_of,
        values_of,
        values_shown,
    )
    from unblur.sweeping.study import counting, retried

    trials, front = ranked(space, study), best_trials(study)
    lost = retried(trials)
    rows = [
        [
            f"{trial.number}" + ("*" if trial in front else ""),
            escape(values_shown(space, trial)),
            state_of(trial, lost),
            *(shown(name, value) for name, value in values_of(space, trial).items()),
            "-" if minutes(trial) is None else f"{minutes(trial):.1f}",
        ]
        for trial in trials[: max(SHOWN, len(front))]
    ]
    title = f"{space.name}: {len(counting(trials))} trials" + (
        f", the first {len(rows)}" if len(rows) < len(trials) else ""
    )
    show_table(title, ["trial", "values", "state", *space.objectives, "minutes"], rows, texts=3)
    if front:
        what_next(
            escape(command_of(space, front[0])),
            f"open {space.folder / PAGE}     history, importances, every trial",
            f"{space.folder / BEST}     the same overrides, as params.yaml has them",
        )


if __name__ == "__main__":
    main()
