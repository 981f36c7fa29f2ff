"""What the scripts of ops/ decide, run with commands in place of dvc, unblur and gh that note how they are called."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = """#!{python}
import json, os, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
body = next((open(each[6:]).read() for each in arguments if each.startswith("body=@")), None)
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([name, arguments, body]) + "\\n")
answers = json.load(open({answers!r}))
for key, (code, text) in answers.items():
    if key in " ".join([name, *arguments]):
        if "--report" in arguments:
            open(arguments[arguments.index("--report") + 1], "w").write(text)
        else:
            print(text)
        sys.exit(code)
"""


class Desk:
    """A project with the scripts, and commands that answer as they are told."""

    def __init__(self, folder: Path) -> None:
        self.root, self.calls, self.answers = folder / "project", folder / "calls", folder / "answers"
        shutil.copytree(ROOT / "ops", self.root / "ops")
        tools = folder / "bin"
        tools.mkdir()
        for name in ("dvc", "unblur", "gh"):
            tool = tools / name
            tool.write_text(TOOL.format(python=sys.executable, calls=str(self.calls), answers=str(self.answers)))
            tool.chmod(0o755)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.environment = {
            "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT / "src"),
            "HOME": str(folder),
            "GITHUB_REPOSITORY": "owner/name",
        }

    def run(self, script: str, *arguments: str, code: int = 0, answers: dict[str, tuple[int, str]], **more: str) -> str:
        """Run a script; each answer is the exit code and the text of the first command line that holds its key."""
        self.answers.write_text(json.dumps(answers))
        self.calls.write_text("")
        done = subprocess.run(
            [str(self.root / "ops" / script), *arguments],
            cwd=self.root,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def called(self, part: str) -> list[tuple[list[str], str | None]]:
        """Return arguments and posted body of each call whose line holds `part`."""
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return [(arguments, body) for name, arguments, body in calls if part in " ".join([name, *arguments])]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("ended", "code", "heading", "last"),
    [
        (0, 0, "nothing to do", "retrain: nothing to do (exit code 0)"),
        (0, 0, "waiting", "retrain: waiting (exit code 0)"),
        (3, 3, "refused", "retrain: refused (exit code 3)"),
        (1, 1, "failed", "retrain: failed in the step 'retrain' (exit code 1)"),
        (143, 1, "failed", "retrain: failed in the step 'retrain' (exit code 1)"),
    ],
)
def test_the_last_line_and_the_exit_code_say_what_came_of_it(desk, ended, code, heading, last):
    report = f"<!-- unblur retrain -->\n## Retraining: {heading}\n"
    said = desk.run("retrain.sh", "--seed", "5; touch x", code=code, answers={"unblur retrain": (ended, report)})
    assert said.splitlines()[-1] == last
    assert "pull: skipped, as there is no DVC remote" in said
    ((arguments, _),) = desk.called("unblur retrain")
    assert arguments == ["retrain", "--report", "artifacts/retrain/report.md", "--local", "--seed", "5; touch x"]
    assert not desk.called("dvc pull")
    assert not (desk.root / "x").exists()


@pytest.mark.parametrize(("found", "reason"), [(0, False), (4, True)])
def test_drift_is_a_reason(desk, found, reason):
    answers = {"unblur drift": (found, "table"), "unblur retrain": (0, "## Retraining: candidate\n")}
    where = {"UNBLUR_STATISTICS": "seen dir", "UNBLUR_REFERENCE": "ref.parquet", "UNBLUR_MAX_AGE": "30"}
    desk.run("retrain.sh", answers=answers, MLFLOW_TRACKING_URI="http://127.0.0.1:9", **where)
    ((drift, _),) = desk.called("unblur drift")
    assert drift[:3] == ["drift", "seen dir", "ref.parquet"]
    ((arguments, _),) = desk.called("unblur retrain")
    assert ("--because" in arguments) is reason
    assert arguments[-2:] == ["--max-age", "30"]
    assert "--local" not in arguments


def test_drift_that_could_not_be_told_ends_it_with_its_step(desk):
    where = {"UNBLUR_STATISTICS": "seen", "UNBLUR_REFERENCE": "reference"}
    said = desk.run("retrain.sh", code=1, answers={"unblur drift": (1, "error: seen is not there")}, **where)
    assert said.splitlines()[-1] == "retrain: failed in the step 'drift' (exit code 1)"
    assert not desk.called("unblur retrain")


def test_with_remotes_it_pulls_and_proposes_and_shows_no_credentials(desk):
    subprocess.run(["git", "remote", "add", "origin", "../origin"], cwd=desk.root, check=True)
    answers = {
        "dvc remote list": (0, "store\thttps://me:hunter22@example.org/data"),
        "dvc pull": (1, "ERROR: https://me:hunter22@example.org/data has no such file; key QWERTZ123456"),
        "unblur retrain": (0, "## Retraining: nothing to do\n"),
    }
    said = desk.run("retrain.sh", answers=answers, AWS_SECRET_ACCESS_KEY="QWERTZ123456")
    assert "ERROR: https://***@example.org/data has no such file; key ***" in said
    assert "hunter22" not in said
    assert "pull: not everything came" in said
    ((pull, _),) = desk.called("dvc pull")
    assert "--run-cache" in pull
    ((arguments, _),) = desk.called("unblur retrain")
    assert "--propose" in arguments


def test_one_comment_is_posted_and_then_refreshed(desk):
    (desk.root / "report.md").write_text("<!-- m -->\n## Retraining\n![pair one](report_pictures/a.png)\n")
    desk.run("comment.sh", "7", "report.md", answers={})
    ((posted, body),) = desk.called("--method")
    assert posted[posted.index("--method") + 1 :][:2] == ["POST", "repos/owner/name/issues/7/comments"]
    assert body == "<!-- m -->\n## Retraining\n- picture of pair one: in the artifact of the run\n"
    desk.run("comment.sh", "7", "report.md", answers={"issues/7/comments": (0, "41\n42")})
    ((refreshed, _),) = desk.called("--method")
    assert refreshed[refreshed.index("--method") + 1 :][:2] == ["PATCH", "repos/owner/name/issues/comments/41"]


@pytest.mark.parametrize(("number", "text"), [("7; x", "<!-- m -->\n"), ("7", "no marker\n"), ("7", "")])
def test_a_comment_without_number_marker_or_text_is_an_error_and_not_posted(desk, number, text):
    (desk.root / "report.md").write_text(text)
    assert desk.run("comment.sh", number, "report.md", code=1, answers={}).startswith("error: ")
    assert not desk.called("gh")


@pytest.mark.parametrize(("open_issue", "opened"), [("", 1), ("3", 0)])
def test_a_failure_opens_one_issue_and_refreshes_it(desk, open_issue, opened):
    (desk.root / "failure.md").write_text("<!-- f -->\nfailed\n")
    answers = {"issues?state=open": (0, open_issue), "title=Retraining has failed": (0, "3")}
    desk.run("issue.sh", "Retraining has failed", "failure.md", answers=answers)
    assert len(desk.called("--raw-field title=Retraining has failed")) == opened
    assert len(desk.called("repos/owner/name/issues/3/comments --field body=@")) == 1


@pytest.mark.parametrize(
    ("reviewers", "waiting", "asked"), [((0, "2"), "0", True), ((0, "0"), "0", False), ((1, ""), "0", False)]
)
def test_a_promotion_is_asked_for_where_somebody_has_to_approve_it(desk, reviewers, waiting, asked):
    answers = {"environments/production": reviewers, "runs?status=waiting": (0, waiting)}
    said = desk.run("request.sh", "3", "v4 has passed", answers=answers)
    assert bool(desk.called("gh workflow run promote.yml")) is asked
    assert ("has no required reviewers" in said) is not asked


def test_a_second_request_is_not_made_while_one_waits(desk):
    answers = {"environments/production": (0, "1"), "runs?status=waiting": (0, "1")}
    assert "one waits for its reviewers already" in desk.run("request.sh", "none", "v1", answers=answers)
    assert not desk.called("gh workflow run")
    assert desk.run("request.sh", "v1", "v1", code=1, answers=answers).startswith("error: 'v1' is no version")


def test_no_script_promotes_and_each_stops_at_an_error():
    scripts = sorted((ROOT / "ops").glob("*.sh"))
    assert {"comment.sh", "issue.sh", "request.sh", "retrain.sh"} <= {each.name for each in scripts}
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert os.access(script, os.X_OK), script
        assert "\nset -euo pipefail\n" in text, script
        assert not [line for line in text.splitlines() if line.lstrip().startswith("unblur promote")], script
