"""Commands in processes of their own, ended by signals; and Hydra's options in any place."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unblur
from unblur.config.entry import Stopped, _hydra_arguments, _options_first, exit_codes
from unblur.errors import UnblurError, UsageError

SLEEPER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever runs the tests may have turned off
from pathlib import Path
from unblur.config.entry import command
from unblur.safety.atomic import replacing

@command
def main(argv):
    with replacing(Path("made.txt")) as unfinished:
        unfinished.write_text("half")
        print("ready", flush=True)
        time.sleep(60)

main()
"""


def started(tmp_path, *before):
    process = subprocess.Popen(
        [*before, sys.executable, "-c", SLEEPER],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_is_one_line_and_its_code_and_leaves_nothing_unfinished(tmp_path, name, code):
    process = started(tmp_path, "env", "--default-signal=HUP")  # which nohup around the tests would take away
    process.send_signal(getattr(signal, name))
    process.send_signal(getattr(signal, name))  # as a terminal and a parent process both do
    _, line = process.communicate(timeout=30)
    assert process.returncode == code
    assert line == f"error: stopped by {name}; run the same command again to go on\n"
    assert list(tmp_path.iterdir()) == []


SWALLOWERS = {
    "a callback, of which Python prints what it raises": """
class Thing: pass
def slow(_):
    print("ready", flush=True)
    time.sleep(60)
thing = Thing()
kept = weakref.ref(thing, slow)
del thing
time.sleep(60)
""",
    "a library that makes an error of its own of it": """
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    None.missing
""",
    "a library that goes on, before a job begins": """
try:
    print("ready", flush=True)
    time.sleep(60)
except BaseException:
    pass
with exit_codes("job 0: "):
    time.sleep(60)
""",
}


def assert_stopped(process, number):
    """Send a signal to a process that has said "ready", and hold what comes of it to one line and the exit code."""
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, line = process.communicate(timeout=30)
    assert line == f"error: stopped by {number.name}; run the same command again to go on\n"
    assert process.returncode == 128 + number


@pytest.mark.parametrize("code", SWALLOWERS.values(), ids=SWALLOWERS)
def test_a_signal_is_not_lost_in(tmp_path, code):
    program = "import time, weakref\nfrom unblur.config.entry import exit_codes\nwith exit_codes():\n"
    program += "\n".join(f"    {line}" for line in code.splitlines())
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert_stopped(process, signal.SIGTERM)


def test_a_signal_while_a_command_starts_waits_until_it_can_be_answered(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import time; print('ready', flush=True); time.sleep(1)")
    start = (
        "import os, sys; sys.argv = ['unblur', 'restore', 'a', 'b']; from unblur.cli import main; "
        f"os.environ['PYTHONPATH'] += {str(':' + str(tmp_path))!r}; main()"
    )
    source = str(Path(unblur.__file__).parents[1])
    process = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", start],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert_stopped(process, signal.SIGINT)


def test_an_error_is_one_line_whatever_a_file_is_called(capsys):
    with pytest.raises(SystemExit), exit_codes():
        raise UnblurError("a\nb\x1b[2J\udcff\u202egpj.png: is damaged")
    assert capsys.readouterr().err == "error: a\\nb\\x1b[2J\\udcff\\u202egpj.png: is damaged\n"


def refused(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["unblur", *arguments])
    with pytest.raises(UsageError) as caught:
        _hydra_arguments()
    return str(caught.value)


@pytest.mark.parametrize(
    "place",
    [
        "hydra.sweep.dir=/elsewhere/x",
        "hydra.run.dir=../x",
        "hydra.sweep.subdir=/x",
        "hydra.sweep.dir=a/${now:%Y}/../../../x",
    ],
)
def test_hydras_folders_stay_in_the_project_too(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    assert "leads out of the project" in refused(monkeypatch, place)
    monkeypatch.setattr(sys, "argv", ["unblur", "-m", "hydra.sweep.dir=multirun/${now:%Y-%m-%d}/${hydra:job.num}"])
    _hydra_arguments()


@pytest.mark.parametrize("value", ["${oc.env:TOKEN}", "${oc.decode:${oc.env:TOKEN}}", "${now:${oc.env:TOKEN}}"])
def test_hydras_folders_are_not_called_after_the_environment(monkeypatch, value):
    for key in ("hydra.run.dir", "hydra.job.name"):
        assert "such as the environment" in refused(monkeypatch, f"{key}={value}")


def test_two_of_hydras_modes_are_wrong_usage(monkeypatch):
    assert refused(monkeypatch, "-m", "--cfg", "job").startswith("-m and --cfg: give one of")
    assert refused(monkeypatch, "--shell-completion", "x").startswith("--shell-completion: give one of")


def test_under_nohup_a_command_goes_on(tmp_path):
    process = started(tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_the_handlers_before_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with exit_codes():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_that_nobody_catches_still_has_its_code():
    assert Stopped(signal.SIGTERM).code == 143


@pytest.mark.parametrize("reader", ["head -1", "cat"])
def test_output_that_nobody_reads_is_no_error_but_another_broken_pipe_is(tmp_path, reader):
    code = (
        "from unblur.config.entry import command\n"
        "@command\n"
        "def main(argv):\n"
        "    print('a line')\n"
        "    if argv == ['cat']:\n"
        "        raise BrokenPipeError(32, 'Broken pipe')  # of a process that has died\n"
        "    for _ in range(100_000):\n"
        "        print('a line')\n"
        "main()\n"
    )
    (tmp_path / "command.py").write_text(code)
    line = f'{sys.executable} {tmp_path}/command.py {reader.split()[0]} | {reader}; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    if reader == "cat":
        assert done.stdout == "a line\n1\n"
        assert done.stderr.startswith("error: ")
        assert "the program at the other end of a pipe has gone; " in done.stderr
    else:
        assert (done.stdout, done.stderr) == ("a line\n0\n", "")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("model=x --cfg job", "--cfg job model=x"),
        ("--cfg job model=x", "--cfg job model=x"),
        ("a=1 -m b=2", "-m a=1 b=2"),
        ("a=1 --info defaults b=2", "--info defaults a=1 b=2"),
        ("--info a=1", "--info a=1"),
        ("a=1 --config-dir /x=y/conf --resolve b=2", "--config-dir /x=y/conf --resolve a=1 b=2"),
        ("wrong --cfg job", "--cfg job wrong"),
    ],
)
def test_options_come_before_overrides(given, taken):
    assert _options_first(given.split()) == taken.split()


SWEEP = """
from unblur.config.entry import stage
from unblur.errors import UnblurError

@stage
def main(cfg):
    if cfg.seed == 2:
        cfg.seed > "abc"
    if cfg.seed == 3:
        raise UnblurError("nobody wants a 3")
    print("done", cfg.seed)

main()
"""


def swept(tmp_path, *overrides):
    command = [sys.executable, "-c", SWEEP, *overrides]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


def test_a_bad_job_of_a_sweep_names_its_overrides_and_the_others_go_on(tmp_path):
    done = swept(tmp_path, "-m", "model=nafnet_tiny", "seed=1,2,3,4")
    assert done.stdout.split() == ["done", "1", "done", "4"]
    first, second = done.stderr.splitlines()
    assert first.startswith("error: job 1 (model=nafnet_tiny, seed=2): unexpected TypeError: '>' not supported")
    assert second == "error: job 2 (model=nafnet_tiny, seed=3): nobody wants a 3"
    assert done.returncode == 1
    assert swept(tmp_path, "-m", "seed=1,4").returncode == 0


def test_an_error_that_nobody_has_foreseen_names_the_overrides(tmp_path):
    done = swept(tmp_path, "seed=2", "model=nafnet_tiny")
    assert done.stderr.startswith("error: unexpected TypeError, given seed=2 model=nafnet_tiny: ")
    assert done.returncode == 1


def test_python_does_not_look_for_cycles_before_it_ends():
    last = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); import unblur.config.entry"
    done = subprocess.run([sys.executable, "-c", last], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
