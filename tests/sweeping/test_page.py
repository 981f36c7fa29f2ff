"""The page, the table and best.yaml of a study whose trials are formulas."""

import csv
import re
from dataclasses import replace

import optuna
import pytest
import yaml

from unblur.sweeping.page import FEWEST, importances, write_page
from unblur.sweeping.results import best_trials, command_of, ranked, write_results
from unblur.sweeping.space import SamplerSettings, read_space
from unblur.sweeping.study import open_study, sampler, storage_address, turn


@pytest.fixture
def searched(space_file, project):
    """`searched(trials, objective, **keys)`: (space, study) after as many trials of a function of a trial's values."""

    def search(trials, objective, **keys):
        space = replace(read_space(space_file(**keys)), sampler=SamplerSettings("random", seed=1))
        address = storage_address(space)
        study = open_study(space, address, turn(address))
        for number in range(trials):
            study.sampler = sampler(space, number)
            study.optimize(
                lambda trial: objective(*(each.suggest(trial) for each in space.parameters)),
                n_trials=1,
                catch=(OSError,),
            )
        return space, study

    return search


TWO = {"optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True}, "train.init_share": {"low": 0.0, "high": 1.0}}


def test_what_decides_is_told_from_what_does_not_once_there_are_trials_enough(searched):
    _, study = searched(40, lambda rate, share: -((share - 0.5) ** 2), space=TWO)  # greatest at 0.5, whatever the rate
    shares = importances(study)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["train.init_share"] > 0.8
    _, few = searched(FEWEST - 1, lambda rate, share: share, space=TWO, name="few")
    assert importances(few) == {}


def test_the_front_is_what_nothing_beats_in_all_objectives(searched):
    objectives = {"val/psnr": "maximize", "size_mb": "minimize"}
    space, study = searched(12, lambda rate, share: (share, share + (rate > 1e-3)), space=TWO, objectives=objectives)
    # Small rates trade one for the other; a large one is beaten by any small one whose share is greater.
    points = {trial.number: trial.values for trial in study.get_trials()}
    front = {
        number
        for number, (quality, size) in points.items()
        if not any(q >= quality and s <= size and (q, s) != (quality, size) for q, s in points.values())
    }
    found = best_trials(study)
    assert {trial.number for trial in found} == front
    assert [trial.values[0] for trial in found] == sorted((trial.values[0] for trial in found), reverse=True)
    write_results(space, study)
    write_page(space, study)
    best = yaml.safe_load((space.folder / "best.yaml").read_text())
    assert best["overrides"] == [*space.overrides, *best["overrides"][-2:]]
    assert {each["trial"] for each in best["front"]} == front
    page = (space.folder / "sweep.html").read_text()
    assert page.count('<tr class="best">') == len(front)
    assert len(re.findall("<figcaption><strong>(Pareto front|History|Importance)", page)) == 3


def test_the_table_has_every_trial_and_a_failed_one_its_reason(searched):
    def objective(rate):
        if rate < 1e-3:
            raise OSError("is too slow")
        return rate

    space, study = searched(8, objective)
    failed = [trial for trial in study.get_trials() if trial.state == optuna.trial.TrialState.FAIL]
    assert 0 < len(failed) < 8
    write_results(space, study)
    write_page(space, study)
    rows = list(csv.DictReader((space.folder / "results.csv").open()))
    assert [row["trial"] for row in rows] == list("01234567")
    assert [row["val/psnr"] == "" for row in rows] == [row["state"] == "failed" for row in rows]
    assert all(
        float(row["optimizer.lr"]) == study.get_trials()[int(row["trial"])].params["optimizer.lr"] for row in rows
    )
    order = ranked(space, study)
    assert order[0].value == max(trial.value for trial in study.get_trials() if trial.value is not None)
    assert {trial.number for trial in order[-len(failed) :]} == {trial.number for trial in failed}
    assert command_of(space, order[0]).endswith(f" optimizer.lr={order[0].value!r}")
    page = (space.folder / "sweep.html").read_text()
    assert f"val/psnr {order[0].value:.3f} dB" in page
    assert "built-in" not in page
