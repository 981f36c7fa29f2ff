import subprocess
import sys

CHILD = """
import faulthandler, gc, os, signal, sys
from pathlib import Path
from unblur.runtimes.graph_file import read_graph
from unblur.runtimes.openvino import OpenVinoSession

faulthandler.enable()  # has a stack of its own for signal handlers, as under pytest
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
first = OpenVinoSession(read_graph(Path(sys.argv[1])), 1)
second = OpenVinoSession(read_graph(Path(sys.argv[1])), 1)
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_handled_after_sessions_whose_lives_overlap(box_onnx):
    """Two Cores of OpenVINO would leave the thread with a stack for signal handlers that is gone."""
    command = [sys.executable, "-c", CHILD, str(box_onnx())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"signal {-done.returncode}: {done.stderr}"
    assert done.stdout == "handled\n"
