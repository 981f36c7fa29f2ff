"""The options of `unblur serve` and the address that it listens at; what it answers is tested in tests/serving."""

import re
import signal
import subprocess
import sys

import httpx
import pytest

from unblur.commands.serve import _listen, parse
from unblur.errors import UnblurError

ABOVE_0 = (
    *("--max-megabytes", "--max-megapixels", "--seconds", "--statistics-days", "--job-megabytes", "--jobs-megabytes"),
    *("--job-seconds", "--explain-seconds"),
)
FROM_0 = ("--follow", "--keep-results")


@pytest.mark.parametrize("option", [*ABOVE_0, *FROM_0])
def test_a_number_is_one_that_clocks_and_the_system_take(option, capsys):
    least = "above 0" if option in ABOVE_0 else "from 0"
    for text in ("inf", "nan", "-1", "1e9", "1e400", "many", *(["0"] if option in ABOVE_0 else [])):
        with pytest.raises(SystemExit, match="2"):
            parse([option, text])
        line = capsys.readouterr().err.splitlines()[-1]
        assert line == f"unblur serve: error: argument {option}: {text}: expected a number {least} to 1e+08"
    for number in (0.5, 1e8, *([0.0] if option in FROM_0 else [])):
        assert getattr(parse([option, str(number)]), option[2:].replace("-", "_")) == number


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--jobs", "-1"], "--queue and --jobs at least 0"),
        (["--grace", "-1"], "--grace -1: expected 0 to 1e+08"),
        (["--grace", "1000000000"], "--grace 1000000000: expected 0 to 1e+08"),
    ],
)
def test_whole_numbers_have_limits_too(given, says, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse(given)
    assert says in capsys.readouterr().err
    assert parse(["--jobs", "0", "--grace", "0"]).jobs == 0


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_what_can_be_no_host_is_told(host):
    with pytest.raises(UnblurError, match=rf"^{re.escape(host)}: cannot be the name of a host; choose another --host$"):
        _listen(host, 0)


def test_an_address_of_ipv6_is_told_in_brackets():
    with pytest.raises(UnblurError, match=r"^\[2001:db8::1\]:0: cannot listen there"):
        _listen("2001:db8::1", 0)


def test_the_port_is_told_that_the_system_has_chosen(box_onnx):
    command = [
        sys.executable,
        "-m",
        "unblur.commands.serve",
        "--model",
        str(box_onnx()),
        "--port",
        "0",
        "--threads",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stderr.readline().split()[-1]
            assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", address)
            # It listens already, and answers as soon as it has begun.
            assert httpx.get(f"{address}/healthz", timeout=30).json() == {"status": "alive"}
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
