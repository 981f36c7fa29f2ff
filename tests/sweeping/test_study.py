"""The study in its database, with a formula in place of a training: what is chosen, counted, lost and tried again."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from unblur.errors import UnblurError, UsageError
from unblur.sweeping import study as studies
from unblur.sweeping.space import SamplerSettings, read_space
from unblur.sweeping.study import (
    again,
    counting,
    first_number,
    open_study,
    pruner,
    retried,
    sampler,
    storage_address,
    study_errors,
    turn,
)


@pytest.fixture
def space(space_file, project):
    return replace(read_space(space_file()), sampler=SamplerSettings("tpe", seed=5, startup=3), trials=8)


def opened(space):
    address = storage_address(space)
    return open_study(space, address, turn(address))


def search(space, until, seed=None):
    """Trials of a parabola over log10 of the learning rate, until there are so many; their learning rates."""
    study = opened(space)
    if seed is not None:
        space = replace(space, sampler=replace(space.sampler, seed=seed))
    while len(done := counting(study.get_trials(deepcopy=False))) < until:
        study.sampler = sampler(space, len(done))
        study.optimize(lambda trial: -((space.parameters[0].suggest(trial) - 1e-3) ** 2), n_trials=1)
    return [trial.params["optimizer.lr"] for trial in counting(study.get_trials(deepcopy=False))]


def test_a_seed_gives_the_same_values_also_if_the_sweep_is_interrupted(space):
    straight = search(replace(space, name="straight", folder=space.folder.with_name("straight")), 8)
    assert len(set(straight)) == 8
    for until in (2, 5, 8):  # a new process begins with a new sampler, as `opened` does
        parts = search(space, until)
    assert parts == straight
    assert search(replace(space, name="other", folder=space.folder.with_name("other")), 8, seed=6) != straight


def test_the_sampler_learns(space):
    found = search(replace(space, trials=40), 40)
    assert sorted(abs(each - 1e-3) for each in found[20:])[10] < sorted(abs(each - 1e-3) for each in found[:3])[1]


def test_a_lost_trial_is_tried_again_where_its_checkpoints_are_and_does_not_count(space):
    study = opened(space)
    first = study.ask({"optimizer.lr": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)})
    first.report(20.0, 1)
    for times in range(1, studies.RETRIES + 1):
        (running,) = study.get_trials(states=(TrialState.RUNNING,))
        study.tell(running.number, state=TrialState.FAIL)
        again(study, study.get_trials()[running.number])
        assert counting(study.get_trials()) == []
        assert retried(study.get_trials()) == set(range(times))
        trial = study.ask()
        assert trial.number == times
        assert trial.params == first.params
        assert study.get_trials()[times].intermediate_values == {1: 20.0}
        assert first_number(study.get_trials()[times]) == 0
    study.tell(trial, state=TrialState.FAIL)
    again(study, study.get_trials()[trial.number])
    assert [each.number for each in counting(study.get_trials())] == [studies.RETRIES]  # given up: that one counts
    assert study.get_trials(states=(TrialState.WAITING,)) == []


def test_a_worker_without_a_sign_of_life_has_lost_its_trial(space, monkeypatch):
    monkeypatch.setattr(studies, "HEARTBEAT", 1)
    monkeypatch.setattr(studies, "GRACE", 2)
    dying = """
import os, signal, sys, time
from pathlib import Path
import pickle
from unblur.sweeping.study import open_study, storage_address, turn
space = pickle.loads(Path(sys.argv[1]).read_bytes())
address = storage_address(space)
study = open_study(space, address, turn(address))
def dies(trial):
    space.parameters[0].suggest(trial)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
study.optimize(dies, n_trials=1)
"""
    import pickle
    import time

    pickled = space.folder.parent.parent / "space.pickle"
    pickled.write_bytes(pickle.dumps(space))
    done = subprocess.run([sys.executable, "-c", dying, str(pickled)], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    study = opened(space)
    (lost,) = study.get_trials()
    assert lost.state == TrialState.RUNNING
    time.sleep(3)
    optuna.storages.fail_stale_trials(study)
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]
    assert study.get_trials()[1].params == lost.params


def test_the_lock_is_one_for_all_and_goes_with_its_holder(space):
    address = storage_address(space)
    opened(space)
    holder = f"""
import sys
from unblur.sweeping.study import turn
lock = turn({address!r})
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    lock = turn(address)
    with pytest.raises(TimeoutError):
        lock.acquire(timeout=0.1)
    process.kill()
    process.communicate()
    lock.acquire(timeout=10)
    lock.release()
    lock.release()


def test_a_study_of_something_else_is_refused_with_the_keys(space):
    opened(space)
    opened(replace(space, trials=100, sampler=SamplerSettings("random")))  # may change
    wider = (replace(space.parameters[0], high=0.1),)
    with pytest.raises(UnblurError, match=r"overrides, space\.optimizer\.lr: others than in the study 'tiny'"):
        opened(replace(space, parameters=wider, overrides=("seed=1",)))


def test_a_database_that_cannot_be_used_is_one_line_without_the_password(space, tmp_path):
    (tmp_path / "broken.db").write_text("no database at all, but long enough to be read as the head of one")
    (tmp_path / "empty.db").touch()
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute(
        "create table version_info (version_info_id integer primary key, schema_version integer, library_version text)"
    )
    other.execute("insert into version_info values (1, 1, '0.1')")
    other.commit()
    for file, line in (("broken.db", "file is not a database"), ("other.db", "of another version of Optuna")):
        address = f"sqlite:///{tmp_path / file}"
        with pytest.raises(UnblurError) as caught, study_errors(address):
            opened(replace(space, storage=address))
        assert str(caught.value).startswith(f"{address}: the study's database cannot be used")
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)
    opened(replace(space, storage=f"sqlite:///{tmp_path / 'empty.db'}"))
    with pytest.raises(UsageError, match=r"storage: mysql://\*\*\*@db/x: expected sqlite:///FILE or postgresql"):
        storage_address(replace(space, storage="mysql://ada:secret@db/x"))


def test_hyperband_ends_what_is_worse_after_as_many_epochs(space):
    space = replace(space, pruner=replace(space.pruner, name="hyperband"), epochs=(9, 1))
    study = opened(space)
    study.pruner, study.sampler = pruner(space), sampler(space, 0)

    def trained(trial):
        quality = trial.number % 3 - (trial.number > 20) * 5.0
        for epoch in range(1, 10):
            trial.report(quality, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return quality

    study.optimize(trained, n_trials=30)
    ended = [trial for trial in study.get_trials() if trial.state == TrialState.PRUNED]
    assert len(ended) > 5
    assert {trial.last_step for trial in ended} <= {1, 3, 9}  # the rungs of a reduction by 3
    done = [trial for trial in study.get_trials() if trial.number > 20]
    assert sum(trial.state == TrialState.PRUNED for trial in done) > len(done) / 2


@pytest.mark.services
def test_on_postgresql_workers_at_once_make_one_study_and_take_turns(space, stack):
    address = stack.database("sweeps")
    works = """
import sys, time, pickle
from dataclasses import replace
from pathlib import Path
from unblur.sweeping.study import counting, open_study, sampler, storage_address, turn
space = replace(pickle.loads(Path(sys.argv[1]).read_bytes()), storage=sys.argv[2])
address = storage_address(space)
lock = turn(address)
study = open_study(space, address, lock)
while True:
    lock.acquire()
    counted = counting(study.get_trials(deepcopy=False))
    if len(counted) >= 12:
        break
    study.sampler = sampler(space, len(counted))
    def objective(trial):
        value = space.parameters[0].suggest(trial)
        lock.release()
        time.sleep(0.05)
        return value
    study.optimize(objective, n_trials=1)
print(len(counted))
"""
    import pickle

    pickled = space.folder.parent.parent / "space.pickle"
    pickled.write_bytes(pickle.dumps(space))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", works, str(pickled), address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ended = [process.communicate() for process in started]
    assert [said for said, _ in ended] == ["12\n"] * 3, ended
    study = opened(replace(space, storage=address))
    assert len(study.get_trials()) == 12
    assert len({trial.params["optimizer.lr"] for trial in study.get_trials()}) == 12
    wrong = re.sub(r":\w+@", ":of-another@", address)
    with pytest.raises(UnblurError) as caught, study_errors(wrong):
        opened(replace(space, storage=wrong))
    assert str(caught.value).startswith("postgresql://***@")
    assert "of-another" not in str(caught.value)
    assert json.dumps(os.environ.get("PGPASSWORD")) == "null"
