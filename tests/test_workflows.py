"""Workflows of GitHub and GitLab: few rights, time limits, no text of a user in a shell line, reviewed promotion."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true; the base loader leaves every scalar a string.
    return yaml.load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"), yaml.BaseLoader)


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param.stem)


def test_the_four_are_there():
    assert [path.stem for path in FILES] == ["ci", "data", "promote", "retrain"]


MORE = {  # what a job may besides reading
    ("data", "comment"): {"pull-requests": "write"},
    ("retrain", "comment"): {"pull-requests": "write"},
    ("retrain", "failure"): {"issues": "write"},
    ("retrain", "request"): {"actions": "write"},
    ("retrain", "retrain"): {"contents": "write", "pull-requests": "write"},
}


def test_each_job_may_only_read_but_for_what_it_is_there_for(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        wanted = MORE.get((workflow["name"], name))
        assert job.get("permissions") == (wanted and {"contents": "read"} | wanted), name


def test_no_job_has_the_secrets_of_a_store_and_may_write_but_for_the_one_that_proposes(workflow):
    for name, job in workflow["jobs"].items():
        secret = "secrets." in yaml.safe_dump(job)
        writes = "write" in job.get("permissions", {}).values()
        assert not (secret and writes) or (workflow["name"], name) == ("retrain", "retrain")


def test_no_workflow_runs_what_a_pull_request_proposes_with_secrets(workflow):
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(workflow["on"])
    assert not ("pull_request" in workflow["on"] and "secrets." in yaml.safe_dump(workflow["jobs"]))


def test_the_scripts_that_are_called_exist(workflow):
    called = re.findall(r"(?m)\bops/[\w.-]+", "\n".join(step.get("run", "") for step in steps(workflow)))
    assert all(os.access(ROOT / name, os.X_OK) for name in called)
    expected = {"retrain": {"comment", "issue", "request", "retrain"}, "data": {"comment"}, "ci": {"stack"}}
    assert set(called) == {f"ops/{name}.sh" for name in expected.get(workflow["name"], ())}


def test_a_failure_is_told_whatever_has_failed():
    jobs = read("retrain")["jobs"]
    failure = jobs.pop("failure")
    assert failure["if"] == "${{ failure() }}"
    assert set(failure["needs"]) == set(jobs)


def test_has_time_limits_and_one_run_at_a_time(workflow):
    assert all(int(job["timeout-minutes"]) <= 120 for job in workflow["jobs"].values())
    assert workflow["concurrency"]["group"]


def test_shell_lines_hold_no_expression(workflow):
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


def test_actions_are_githubs_own_and_pinned_by_commit():
    found = [line for path in FILES for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    pins = [re.fullmatch(r" *(?:- )?uses: (actions/[\w-]+)@([0-9a-f]{40}) # v(\d+\.\d+\.\d+)", line) for line in found]
    assert pins
    assert all(pins), found
    assert len({pin.groups() for pin in pins if pin}) == len({pin[1] for pin in pins if pin})  # one release of each


def test_a_checkout_leaves_no_credentials(workflow):
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_shell_lines_are_shell(workflow):
    for step in steps(workflow):
        if "run" in step:
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)


def test_ci_runs_what_people_run_and_sees_no_secret():
    ci = read("ci")
    assert set(ci["on"]) == {"push", "pull_request"}  # never pull_request_target, which has the secrets
    lines = [step.get("run", "") for step in ci["jobs"]["test"]["steps"]]
    assert "make lint types" in lines
    assert "make test" in lines
    assert ci["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert 'make test PYTEST_ARGS="-m services"' in [step.get("run") for step in ci["jobs"]["services"]["steps"]]
    assert "secrets." not in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    commands = "\n".join(step.get("run", "") for step in steps(ci))
    assert re.findall(r"(?m)(?:^\s*|if |[;&|({]\s*)(dvc repro.{0,6})", commands) == ["dvc repro --dry"]


@pytest.mark.parametrize(("missing", "options"), [(0, "PYTEST_ARGS=-m 'services or not services'"), (1, "")])
def test_ci_tests_on_real_services_where_they_can_start(tmp_path, missing, options):
    """`.ci/run` with commands that note how they are called; it ends as `make test` does."""
    for name in ("ops", ".ci", "bin"):
        (tmp_path / name).mkdir()
    script = tmp_path / ".ci" / "run"
    script.write_text((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    stub(tmp_path / "ops" / "stack.sh", f'[ "$*" = check ] && exit {missing}')
    stub(tmp_path / "bin" / "make", 'echo "make $*"; [ "$1" != test ] || exit 7')
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True)
    assert done.returncode == 7
    lines = done.stdout.splitlines()
    assert lines[0] == "make venv"
    assert lines[-1] == f"make test {options}".rstrip()
    assert len(lines) == 2 + missing


def stub(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_retraining_proposes_and_never_promotes():
    text = "\n".join(step.get("run", "") for step in steps(read("retrain")))
    assert "ops/retrain.sh --propose" in text
    assert not re.search(r"unblur (promote|release)|make repro", text)


def test_promotion_waits_for_its_reviewers():
    promote = read("promote")
    assert set(promote["on"]) == {"workflow_dispatch"}
    assert [job["environment"] for job in promote["jobs"].values()] == ["production"]
    text = "\n".join(step.get("run", "") for step in steps(promote))
    assert text.index("unblur gate") < text.index('unblur promote --expect-champion "$EXPECT_CHAMPION"')


def test_retraining_takes_what_was_typed_as_text(tmp_path):
    """The step, run as the runner would with a command that shows its arguments: nothing of them is executed."""
    (step,) = (step for step in steps(read("retrain")) if "OVERRIDES" in step.get("env", {}))
    for tool in (tmp_path / "ops" / "retrain.sh", tmp_path / "bin" / "gh"):
        tool.parent.mkdir()
        tool.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n")
        tool.chmod(0o755)
    typed = "experiment=smoke 'model.width=8' $(touch executed)"
    for seed, more in (("", []), ("9; touch executed", ["--seed", "9; touch executed"])):
        environment = {"OVERRIDES": typed, "SEED": seed, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
        environment |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
        command = ["bash", "-e", "-c", step["run"]]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == str(["--propose", "--overrides", typed, *more])
    assert not (tmp_path / "executed").exists()


def test_gitlab_runs_the_same_script_and_a_person_starts_the_promotion():
    text = (ROOT / "ops" / "gitlab-ci.yml").read_text(encoding="utf-8")
    gitlab = yaml.safe_load(text)
    retrain, promote = gitlab["retrain"], gitlab["promote"]
    assert "ops/retrain.sh --propose" in retrain["script"]
    assert retrain["artifacts"]["when"] == "always"
    assert {"artifacts/retrain/", "dvc.lock"} <= set(retrain["artifacts"]["paths"])
    assert promote["rules"] == [{"when": "manual"}]
    assert promote["environment"]["name"] == "production"
    assert all(job["resource_group"] and job["timeout"] for job in (retrain, promote))
    rules = [rule["if"] for rule in gitlab["workflow"]["rules"]]
    assert all("$CI_COMMIT_REF_PROTECTED" in rule and "merge_request" not in rule for rule in rules)
    assert any('"schedule"' in rule for rule in rules)
    assert not re.search(r"unblur promote", "\n".join(retrain["script"]))
    for line in [*gitlab[".unblur"]["before_script"], *retrain["script"], *promote["script"]]:
        subprocess.run(["bash", "-n", "-c", line], check=True)


@pytest.mark.pipeline
@pytest.mark.slow
def test_the_record_step_tells_a_current_lock_from_an_old_one(tmp_path):
    """The step of ci.yml, run on a small pipeline whose data is not there, as on a runner."""
    (step,) = (step for step in steps(read("ci")) if step.get("name") == "dvc.lock")
    project, summary = tmp_path / "project", tmp_path / "summary.md"
    project.mkdir()

    def shell(line: str) -> None:
        environment = {"PATH": path_with_python(), "GITHUB_STEP_SUMMARY": str(summary), "HOME": str(tmp_path)}
        environment |= {"DVC_NO_ANALYTICS": "1"}
        subprocess.run(["bash", "-e", "-c", line], cwd=project, env=environment, check=True, capture_output=True)

    shell(
        "git init -q && mkdir .dvc data && touch .dvc/config && echo a > data/a && echo 1 > code.py && dvc add -q data"
    )
    stage = {"cmd": "cat data/a code.py > out.txt", "deps": ["data", "code.py"], "outs": ["out.txt"]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": stage}}), encoding="utf-8")
    shell("dvc repro -q && rm -rf data out.txt .dvc/cache")
    shell(step["run"])
    assert "dvc.lock is current" in summary.read_text(encoding="utf-8")
    summary.unlink()
    stages = {"compose": {"cmd": "true", "deps": ["new.py"]}, "one": stage}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    shell("touch new.py")
    shell(step["run"])
    assert "dvc.lock is current" in summary.read_text(encoding="utf-8")
    summary.unlink()
    shell("echo 2 > code.py")
    shell(step["run"])
    assert "dvc.lock is out of date" in summary.read_text(encoding="utf-8")


def path_with_python() -> str:
    """Return a PATH that starts with the commands of this Python, as `make venv` gives the runner."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
