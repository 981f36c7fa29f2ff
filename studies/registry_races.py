"""Many processes move one champion of one store, and some of them are killed: is the ledger the whole truth?

Each worker reads who is champion, and asks for a move to another version that expects this champion, as `unblur promote
--expect-champion` does; at random the parent ends one with SIGKILL and starts another. In the end every move that a
worker was told of has to be in the ledger once, each move has to begin where the one before has ended, and the champion
has to be where the last one has ended.

    python studies/registry_races.py --processes 8 --seconds 120 --kill-every 2

The store is a new SQLite file, or what --store names: an empty database or a server. There a killed process keeps its
place in the lock's queue for --expiry seconds (15 minutes in use); who waits longer is refused, and asks anew.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from unblur.config.tracking import ensure_experiment, tracking_client
from unblur.errors import UnblurError
from unblur.registry import ledger, lock
from unblur.registry.lock import registry_lock
from unblur.registry.move import finish_interrupted, move, require_champion
from unblur.registry.versions import CHAMPION, read_aliases, read_version
from unblur.safety.hashing import sha256_file

NAME, VERSIONS = "raced", 4
PATIENCE = 600.0  # seconds


def main() -> None:
    """Race, and compare what was told with what is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--kill-every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--store", metavar="ADDRESS", help="default: a SQLite file of its own")
    parser.add_argument("--expiry", type=float, default=10.0, metavar="SECONDS")
    options = parser.parse_args()
    if options.store:
        global PATIENCE  # (what each worker, a fork of this process, finds)
        lock.EXPIRY_SECONDS, PATIENCE = options.expiry, 1.5 * options.expiry
    with tempfile.TemporaryDirectory(prefix="unblur-races-") as folder:
        root = Path(folder)
        store = options.store or f"sqlite:///{root / 'mlflow.db'}"
        os.environ.update(UNBLUR_ROOT=folder, MLFLOW_TRACKING_URI=store)
        if os.waitpid(fork(lay_out, root), 0)[1]:
            sys.exit("the store could not be laid out")
        killed = race(root, options.processes, options.seconds, options.kill_every)
        report(root, killed)


def lay_out(root: Path) -> None:
    """Make the versions, the first of which is champion."""
    client = tracking_client()
    client.create_registered_model(NAME)
    for number in range(1, VERSIONS + 1):
        file = root / f"{number}/model.onnx"
        file.parent.mkdir()
        file.write_text(str(number))
        run = client.create_run(ensure_experiment(client, NAME)).info
        client.log_artifact(run.run_id, str(file))
        client.create_model_version(NAME, run.artifact_uri, run_id=run.run_id, tags={"model_sha256": sha256_file(file)})
    with registry_lock(client, NAME):
        move(client, ledger.entry("promote", NAME, None, 1, why="laid out", by="0"), read_version(client, NAME, 1))


def work(root: Path, until: float) -> None:
    """Ask for moves until the time is over; write a line of what each has come to."""
    client, who = tracking_client(), str(os.getpid())
    with (root / f"told.{who}").open("a", buffering=1) as told:
        for turn in range(1_000_000):
            if time.time() > until:
                return
            seen = read_aliases(client, NAME).get(CHAMPION)
            to = random.choice([number for number in range(1, VERSIONS + 1) if number != seen])
            why = f"{who}.{turn}"
            try:
                with registry_lock(client, NAME, patience=PATIENCE):
                    finish_interrupted(client, NAME)
                    require_champion(NAME, read_aliases(client, NAME), seen)
                    move(
                        client, ledger.entry("promote", NAME, seen, to, why=why, by=who), read_version(client, NAME, to)
                    )
                told.write(f"moved {why}\n")
            except UnblurError:
                told.write(f"refused {why}\n")


def race(root: Path, processes: int, seconds: float, kill_every: float) -> int:
    """Keep so many workers at work, kill one now and then, and return how many were killed."""
    until, killed, next_kill = time.time() + seconds, 0, time.time() + 3 * kill_every
    workers = {fork(work, root, until) for _ in range(processes)}
    while workers:
        time.sleep(0.05)
        for worker in list(workers):
            if os.waitpid(worker, os.WNOHANG)[0]:
                workers.remove(worker)
        if time.time() > next_kill and time.time() < until - kill_every and workers:
            victim = random.choice(sorted(workers))
            os.kill(victim, signal.SIGKILL)
            killed += 1
            workers.add(fork(work, root, until))
            next_kill = time.time() + random.uniform(0.2, 1.8) * kill_every
    return killed


def report(root: Path, killed: int) -> None:
    """Compare, print the figures as JSON, and fail if anything is lost, double or out of order."""
    client = tracking_client()
    with registry_lock(client, NAME):
        finished = finish_interrupted(client, NAME)
    lines = ledger.read_ledger(client, NAME)
    told = [line.split() for file in root.glob("told.*") for line in file.read_text().splitlines()]
    moved = [why for what, why, *_ in told if what == "moved"]
    written = [line.why for line in lines]
    broken = [after.why for before, after in itertools.pairwise(lines) if before.after != after.before]
    figures = {
        "moves in the ledger": len(lines) - 1,
        "told as moved": len(moved),
        "told as refused": len(told) - len(moved),
        "killed": killed,
        "finished for a killed one at the end": finished is not None,
        "told but not in the ledger": sorted(set(moved) - set(written)),
        "in the ledger twice": sorted({why for why in written if written.count(why) > 1}),
        "not where the one before ended": broken,
        "champion is the last move's": read_aliases(client, NAME)[CHAMPION] == lines[-1].after,
    }
    print(json.dumps(figures, indent=1))
    lists = [value for value in figures.values() if isinstance(value, list)]
    sys.exit(int(any(lists) or not figures["champion is the last move's"]))


def fork(action, *arguments) -> int:
    """Run an action in a process of its own and return its id."""
    child = os.fork()
    if child:
        return child
    try:
        action(*arguments)
        os._exit(0)
    except BaseException as error:
        print(f"{os.getpid()}: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)


if __name__ == "__main__":
    main()
