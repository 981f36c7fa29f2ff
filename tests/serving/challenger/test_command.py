"""The options of `unblur serve` that try another model, in a real process."""

import subprocess
import sys
import time

import httpx
import pytest

SERVE = [sys.executable, "-m", "unblur.commands.serve"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--shadow", "a.onnx", "--canary", "b.onnx"], "not allowed with"),
        (["--shadow", "a.onnx", "--share", "1.5"], "1.5: expected 0 to 1"),
    ],
)
def test_wrong_use_is_told(options, told):
    ended = subprocess.run([*SERVE, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert told in ended.stderr


@pytest.mark.parametrize("how", ["shadow", "canary"])
def test_a_server_tries_another_model_and_ends_with_0(how, box_onnx, port, tmp_path):
    box_onnx(3, "3.onnx")
    box_onnx(5, "5.onnx")
    options = ["--model", "3.onnx", f"--{how}", "5.onnx", "--share", "1", "--threads", "1", "--port", str(port)]
    options += ["--statistics", "statistics"]  # which the challenger's process does not get
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*SERVE, *options], cwd=tmp_path, stdout=log, stderr=log)
    try:
        end, told = time.monotonic() + 60, {}
        answers = {"shadow": "a challenger answers in the shadow", "canary": "a canary answers"}[how]
        while not told.get(how) or answers not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            try:
                told = httpx.get(f"http://127.0.0.1:{port}/readyz").json()
            except httpx.TransportError:
                time.sleep(0.1)
        assert told[how] == "5.onnx"
        assert told["model"] == "3.onnx"
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
