"""What `unblur serve --shadow` costs the champion: p50 and p99 of its answers with and without, in turn.

Run `taskset -c 0 python studies/serving_shadow.py [--requests 400] [--pause 0.02]`. The champion is box_fast, the
challenger box_medium, which takes several times as long. A client sends photographs of 128 x 128 pixels one after the
other, with pauses of random length in between, in rounds of 20: none of them shadowed, none again, which tells how far
chance goes, and all of them; the id of a request decides. The challenger's process is stopped (SIGSTOP) in the
rounds without, so that what it has left from the round before does not count there.
"""

import argparse
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from unblur.serving.challenger.share import chosen

SHARE = 0.5  # of the server; the client chooses ids that are in it, or not
ARMS = {"none": False, "none again": False, "all": True}
ROUND = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="box_fast")
    parser.add_argument("--challenger", default="box_medium")
    parser.add_argument("--requests", type=int, default=400, help="of each arm")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two requests, on average")
    parser.add_argument("--port", type=int, default=8796)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "unblur.commands.serve", "--model", options.model, "--threads", "1"]
        command += ["--shadow", options.challenger, "--share", str(SHARE), "--port", str(options.port)]
        with Path(folder, "log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{options.port}", timeout=120) as client:
                wait_until_ready(client, server)
                Console().print(measure(client, server, options), f"load average {os.getloadavg()[0]:.1f}")
        finally:
            server.terminate()
            server.wait(60)


def measure(client: httpx.Client, server: subprocess.Popen[bytes], options: argparse.Namespace) -> Table:
    content, random_ = photograph(), random.Random(0)
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    before, (challenger,) = outcomes(client), psutil.Process(server.pid).children()
    ids = {shadowed: ids_of(shadowed) for shadowed in (True, False)}
    for _ in range(options.requests // ROUND):
        for arm in random_.sample(list(ARMS), len(ARMS)):
            challenger.send_signal(signal.SIGCONT if ARMS[arm] else signal.SIGSTOP)
            for _ in range(ROUND):
                time.sleep(random_.expovariate(1 / options.pause))
                start = time.perf_counter()
                client.post("/v1/restore", content=content, headers={"x-request-id": next(ids[ARMS[arm]])})
                seconds[arm].append(time.perf_counter() - start)
    table = Table(
        "shadowed",
        "requests",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "p50",
        "p99",
        title=f"{options.model} in front of {options.challenger}",
    )
    of_none = np.percentile(seconds["none"], (50, 95, 99)) * 1000
    for arm, taken in seconds.items():
        found = np.percentile(taken, (50, 95, 99)) * 1000
        changed = (found / of_none - 1)[[0, 2]]
        table.add_row(arm, str(len(taken)), *(f"{ms:.1f}" for ms in found), *(f"{share:+.1%}" for share in changed))
    challenger.send_signal(signal.SIGCONT)
    table.caption = f"put to the challenger: {Counter(outcomes(client)) - Counter(before)}"
    return table


def wait_until_ready(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    """Wait for the server and, with a request, for its challenger."""
    while True:
        try:
            client.post("/v1/restore", content=photograph(), headers={"x-request-id": next(ids_of(True))})
            break
        except httpx.TransportError:
            time.sleep(0.2)
            if server.poll() is not None:
                sys.exit("the server does not start; is the port free?")
    (challenger,) = psutil.Process(server.pid).children()
    os.sched_setscheduler(challenger.pid, os.SCHED_OTHER, os.sched_param(0))  # on a busy core it would take minutes
    while not outcomes(client).get("compared"):
        time.sleep(0.2)
    os.sched_setscheduler(challenger.pid, os.SCHED_IDLE, os.sched_param(0))


def ids_of(shadowed: bool) -> Iterator[str]:
    """Yield ids of requests that the server puts to the challenger, or that it does not."""
    return (f"{n}" for n in count() if chosen(f"{n}", SHARE) == shadowed)


def outcomes(client: httpx.Client) -> dict[str, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.name == "unblur_shadow_total"}


def photograph() -> bytes:
    stream = io.BytesIO()
    ramp = np.linspace(40, 200, 128)
    pixels = (ramp[:, None] + ramp)[..., None] / 2 + np.random.default_rng(0).normal(0, 20, (128, 128, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


if __name__ == "__main__":
    main()
