"""A worker of a sweep: begins one trial after the other until there are as many as there shall be."""

import multiprocessing
import socket
import sys
import time
from collections.abc import Callable

import optuna
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from unblur.config.entry import Stopped, exit_codes
from unblur.errors import UnblurError
from unblur.safety.owned import claim_folder
from unblur.sweeping.results import line_of
from unblur.sweeping.space import Space
from unblur.sweeping.study import (
    Turn,
    again,
    counting,
    first_number,
    open_study,
    pruner,
    sampler,
    storage_address,
    study_errors,
    turn,
)
from unblur.sweeping.tracking import child_tags, parent_run
from unblur.sweeping.trial import Order, TrialFailed, TrialKilled, end, ends_with_parent, run_trial

POLL = 2.0
"""Seconds between two looks at the trials of other workers."""
ERROR, KILLED = "error", "killed"
"""What is noted of a trial that has failed: its one line, and whether its process was killed."""
Say = Callable[[str], None]


def sweep(space: Space, workers: int, say: Say) -> optuna.Study:
    """Run trials, by several processes if wanted, until there are `space.trials`; return the study.

    Args:
        space: what is searched.
        workers: processes of this call; others may work at the same study.
        say: is told a line for each trial that has ended.

    Raises:
        UnblurError: the database cannot be used, or holds another study of this name.
    """
    claim_folder(space.folder, "sweep")
    address = storage_address(space)
    with study_errors(address):
        study = open_study(space, address, turn(address))
        parent_run(space, study, turn(address))
        if workers == 1:
            work(space, say)
        else:
            _work_together(space, workers)
    return study


def work(space: Space, say: Say) -> None:
    """Run trials one after the other; at the end, wait for those of other workers, and take over what they lose."""
    address = storage_address(space)
    lock = turn(address)
    with study_errors(address):
        study = open_study(space, address, lock)
        waits = False
        while True:
            lock.acquire()  # given back by the trial that begins, once its values are known to the others
            try:
                fail_stale_trials(study)
                counted = counting(study.get_trials(deepcopy=False))
                if len(counted) < space.trials:
                    waits = False
                    _begin(space, study, lock, len(counted), say)
                    continue
            finally:
                lock.release()
            others = [trial.number for trial in counted if trial.state == TrialState.RUNNING]
            if not others:
                return
            if not waits:
                say(f"waiting for trial {', '.join(map(str, others))} of another worker")
            waits = True
            time.sleep(POLL)


def _begin(space: Space, study: optuna.Study, lock: Turn, counted: int, say: Say) -> None:
    """Run one trial; how it ends is written into the study."""

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        return _trial(space, study, trial, lock)

    def after(study: optuna.Study, trial: FrozenTrial) -> None:
        say(line_of(space, trial))
        if trial.state == TrialState.FAIL and trial.user_attrs.get(KILLED):
            again(study, trial)

    study.sampler, study.pruner = sampler(space, counted), pruner(space)
    try:
        study.optimize(objective, n_trials=1, catch=(TrialFailed,), callbacks=[after])
    except ValueError as error:
        if "Cannot tell" not in str(error):
            raise
        say("a trial of this worker showed no sign of life for too long; another worker has taken it over")


def _trial(space: Space, study: optuna.Study, trial: optuna.Trial, lock: Turn) -> tuple[float, ...]:
    overrides = [each.override(each.suggest(trial)) for each in space.parameters]
    lock.release()
    folder = space.folder / "trials" / f"{trial.number:04}"
    began = first_number(study.get_trials(deepcopy=False)[trial.number])
    for name, fact in (("machine", socket.gethostname()), (ERROR, ""), (KILLED, False)):
        trial.set_user_attr(name, fact)  # one that is tried again has those of the lost one
    order = Order(
        overrides=(*space.overrides, *overrides),
        folder=folder,
        checkpoints=folder.with_name(f"{began:04}") / "checkpoints",
        objectives=tuple(space.objectives),
        asks=space.pruner.name != "none",
        tags=child_tags(study, trial.number),
    )

    def goes_on(epoch: int, value: float) -> bool:
        trial.report(value, epoch)
        return not trial.should_prune()

    try:
        claim_folder(folder, "sweep")
        values = run_trial(order, goes_on)
    except TrialFailed as error:
        trial.set_user_attr(ERROR, str(error))
        if isinstance(error, TrialKilled):
            trial.set_user_attr(KILLED, True)
        raise
    except Stopped:
        trial.set_user_attr(ERROR, "was stopped; its values are tried again")
        study.tell(trial.number, state=TrialState.FAIL)
        again(study, study.get_trials(deepcopy=False)[trial.number])
        raise
    if values is None:
        raise optuna.TrialPruned
    return values


def _work_together(space: Space, workers: int) -> None:
    """Let several processes work, and wait for all of them.

    Raises:
        UnblurError: one of them has failed.
    """
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=_work_beside, args=(space,), name=f"worker {n}") for n in range(workers)]
    try:
        for process in started:
            process.start()
        for process in started:
            process.join()
    finally:
        running = [process for process in started if process.is_alive()]
        for process in running:
            process.terminate()
        for process in running:
            end(process, seconds=30)  # each ends its trial first
    if failed := [process.name for process in started if process.exitcode]:
        msg = f"{', '.join(failed)} of {workers} ended with an error, which stands above; run it again to go on"
        raise UnblurError(msg)


def _work_beside(space: Space) -> None:
    ends_with_parent()
    with exit_codes():
        try:
            work(space, lambda line: print(line, flush=True))
        except Stopped as stopped:
            sys.exit(stopped.code)  # the process that has started this one tells
