r"""Many processes move one champion of one store, and some of them are killed: is the ledger the whole truth?

Each worker promotes a version that is not the champion, or rolls back, by the calls that `unblur promote` and `unblur
rollback` make; at random the parent ends one with SIGKILL and starts another. With --server it kills and starts
MLflow's server too; with --outage it runs a command now and then, such as one that stops the database and starts it. In
the end the versions of the ledger alone have to tell one order of moves, each beginning where the one before has ended;
every move that a worker was told of has to be in it once, and none that was refused.

    python studies/registry_races.py --moves 10000
    python studies/registry_races.py --moves 1000 --store postgresql://... --server --restart-every 20
    python studies/registry_races.py --store postgresql://... --restart-every 60 --outage \
        "ops/stack.sh stop postgresql; ops/stack.sh start postgresql"

The store is a new SQLite file, or the empty database that --store names. How fast a move is where nobody disturbs it:

    python studies/registry_races.py --moves 100 --processes 1 --kill-every inf
"""

import argparse
import json
import os
import random
import re
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path

from unblur.config.tracking import ensure_experiment, store_errors, tracking_client
from unblur.errors import UnblurError
from unblur.registry import patience
from unblur.registry.entry import entry
from unblur.registry.ledger import MOVE_TAG, SUFFIX, Ledger
from unblur.registry.move import move
from unblur.registry.projection import ROLLED_BACK, last_good, read_shown, show
from unblur.registry.versions import CHAMPION, PREVIOUS, read_version
from unblur.safety.hashing import sha256_file

NAME, VERSIONS = "raced", 6
ROLLBACKS = 0.3  # of the moves that are tried


def main() -> None:
    """Race, and compare what was told with what is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=10_000, help="how many the ledger has in the end, at least")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after which it ends with fewer")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--kill-every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--store", metavar="ADDRESS", help="default: a SQLite file of its own")
    parser.add_argument("--server", action="store_true", help="put MLflow's server before the store")
    parser.add_argument("--restart-every", type=float, default=20.0, metavar="SECONDS", help="the server, or --outage")
    parser.add_argument("--outage", metavar="COMMAND", help="of a shell, which takes the store away and brings it back")
    options = parser.parse_args()
    patience.PATIENCE_SECONDS = 300.0  # (what each worker, a fork of this process, finds)
    with tempfile.TemporaryDirectory(prefix="unblur-races-") as folder:
        root = Path(folder)
        store = options.store or f"sqlite:///{root / 'mlflow.db'}"
        server = Server(root, store) if options.server else None
        os.environ.update(UNBLUR_ROOT=folder, MLFLOW_TRACKING_URI=server.address if server else store)
        if os.waitpid(fork(lay_out, root), 0)[1]:
            sys.exit("the store could not be laid out")
        began, used = time.time(), core_seconds()
        try:
            counts = race(root, options, Outages(server, options.restart_every) if server else Command(options))
            figures = {"seconds": round(time.time() - began, 1), "core seconds": round(core_seconds() - used, 1)}
            report(root, {**counts, **figures})
        finally:
            if server:
                server.kill()


def core_seconds() -> float:
    """Return what the processes have used that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Server:
    """`mlflow server` over a store, which is killed and started again."""

    def __init__(self, root: Path, store: str) -> None:
        """Start it and wait until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.root, self.address = root, f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port]
        self.command += ["--workers", "1", "--backend-store-uri", store, "--artifacts-destination", f"{root}/artifacts"]
        self.start()
        while not self.answers():
            if self.ended:
                sys.exit((root / "server.log").read_text())
            time.sleep(0.2)

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        with (self.root / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                self.command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def ended(self) -> bool:
        """Tell whether it has ended by itself."""
        return self.process.poll() is not None

    def answers(self) -> bool:
        """Tell whether it is up."""
        try:
            urllib.request.urlopen(f"{self.address}/health", timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it and its workers with SIGKILL, in the middle of what they do."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Outages:
    """Kills a server now and then and starts it again some time later, without waiting for either.

    The next kill is counted from where it answers again, so that a slow start leaves time for moves.
    """

    def __init__(self, server: Server, every: float) -> None:
        """Begin with a server that answers."""
        self.server, self.every, self.killed = server, every, 0
        self.kill_at, self.start_at = time.time() + every, 0.0

    def look(self) -> None:
        """Do what it is time for.

        Raises:
            SystemExit: the server has ended by itself.
        """
        now = time.time()
        if self.start_at:
            if now > self.start_at:
                self.server.start()
                self.start_at, self.kill_at = 0.0, 0.0
        elif self.server.ended:
            sys.exit(f"the server has ended by itself: {(self.server.root / 'server.log').read_text()[-2000:]}")
        elif not self.kill_at:
            if self.server.answers():
                self.kill_at = time.time() + random.uniform(0.5, 1.5) * self.every
        elif now > self.kill_at:
            self.server.kill()
            self.killed += 1
            self.start_at = now + random.uniform(0, 2)

    def end(self) -> None:
        """Leave the server running."""
        if self.start_at:
            self.server.start()
            self.start_at, self.kill_at = 0.0, 0.0


class Command:
    """Runs --outage now and then, if there is one; the next is counted from where it has ended."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Begin with a store that answers."""
        self.command, self.every, self.killed = options.outage, options.restart_every, 0
        self.running: subprocess.Popen | None = None
        self.next = time.time() + self.every

    def look(self) -> None:
        """Do what it is time for."""
        if self.running and self.running.poll() is not None:
            self.running, self.next = None, time.time() + random.uniform(0.5, 1.5) * self.every
        if self.command and not self.running and time.time() > self.next:
            self.running = subprocess.Popen(self.command, shell=True, stdout=subprocess.DEVNULL)
            self.killed += 1

    def end(self) -> None:
        """Leave the store running."""
        if self.running:
            self.running.wait()


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
    made = move(Ledger(client, NAME).read(), line("promote", None, 1, "laid out"), read_version(client, NAME, 1))
    assert made is not None


def line(action: str, before: int | None, after: int, why: str):
    """Return a line of the ledger of this process."""
    return entry(action, NAME, before, after, why=why, by=str(os.getpid()))


def work(root: Path, moves: int, until: float) -> None:
    """Ask for moves until there are enough; write before each that it is tried, and then what it has come to."""
    who = secrets.token_hex(4)  # a process's number comes back
    ledger: Ledger | None = None
    with (root / f"told.{who}").open("a", buffering=1) as told:
        for turn in range(1_000_000):
            if time.time() > until or (ledger and len(ledger.valid) >= moves):
                return
            why = f"{who}.{turn}"
            try:
                with store_errors():
                    ledger = (ledger or Ledger(tracking_client(), NAME)).read()
                    told.write(f"tries {why}\n")
                    told.write(f"{'moved' if attempt(ledger, why) else 'refused'} {why}\n")
            except UnblurError as error:  # the server is away
                told.write(f"failed {why} {' '.join(str(error).split())}\n")
                time.sleep(0.5)


def attempt(ledger: Ledger, why: str) -> bool:
    """Promote or roll back once, from the champion as the ledger was read."""
    before, to = ledger.champion, None
    if random.random() < ROLLBACKS:
        action, to = "rollback", last_good(ledger, read_shown(ledger.client, NAME))
    if to is None:
        action, to = "promote", random.choice([number for number in range(1, VERSIONS + 1) if number != before])
    return move(ledger, line(action, before, to, why), read_version(ledger.client, NAME, to)) is not None


def race(root: Path, options: argparse.Namespace, outages: Outages | Command) -> dict[str, object]:
    """Keep so many workers at work, kill one now and then, and the store; return how often.

    Both go on until the first worker finds enough moves; workers are killed while the store is away, too.
    """
    until, killed, failed = time.time() + options.seconds, 0, []
    next_kill = time.time() + 3 * options.kill_every
    workers = {fork(work, root, options.moves, until) for _ in range(options.processes)}
    enough = False
    try:
        while workers:
            time.sleep(random.uniform(0, 0.05))
            if time.time() > next_kill and not enough:
                os.kill(random.choice(sorted(workers)), signal.SIGKILL)  # one that has ended is still to be waited for
                next_kill = time.time() + random.uniform(0.2, 1.8) * options.kill_every
            for worker in sorted(workers):
                done, status = os.waitpid(worker, os.WNOHANG)
                if not done:
                    continue
                workers.remove(worker)
                if os.WIFSIGNALED(status):
                    killed += 1
                    workers.add(fork(work, root, options.moves, until))
                elif status:
                    failed.append(f"process {worker}: {os.waitstatus_to_exitcode(status)}")  # it has said why
                    enough = True
                else:
                    enough = True
            if enough:
                outages.end()
            else:
                outages.look()
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
    return {"killed": killed, "times the store was away": outages.killed, "workers that have failed": failed}


def report(root: Path, figures: dict[str, object]) -> None:
    """Judge the ledger anew, compare, print the figures as JSON, and fail if anything is lost, double or out of order.

    Nothing of the registry's own code is used for that: the versions tell.
    """
    client = tracking_client()
    found, token = [], None
    while True:
        page = client.search_model_versions(
            f"name = '{NAME}{SUFFIX}'", order_by=["version_number ASC"], page_token=token
        )
        found += page
        token = page.token
        if not token:
            break
    last, champion, valid, sources, doubles, gaps, broken = 0, None, [], Counter(), 0, [], []
    good, out = [], set()  # champions before this one, the latest last; those that were rolled back and are out now
    for position, version in enumerate(found, start=1):
        values = json.loads(version.tags[MOVE_TAG])
        if int(version.version) != position:
            gaps.append(int(version.version))
        if values["builds_on"] == last:
            if values["before"] != champion:
                broken.append(values)
            valid.append(values["why"])
            left = [values["before"]] if values["action"] == "promote" and champion else []
            good = [number for number in [*good, *left] if number != values["after"]]
            out = (out | {values["before"]} if values["action"] == "rollback" else out) - {values["after"]}
            last, champion = int(version.version), values["after"]
            if sources[version.source]:
                broken.append(values)
        doubles += sources[version.source] > 0
        sources[version.source] += 1

    said: dict[str, str] = {}
    faults: Counter[str] = Counter()
    for file in root.glob("told.*"):
        for text in file.read_text().splitlines():
            what, why, *fault = text.split(maxsplit=2)
            said[why] = what
            faults.update(re.sub(r"\S*[\d/]\S*", "_", each)[:120] for each in fault)
    written, outcome = Counter(valid), Counter(said.values())
    of = {each: [why for why, what in said.items() if what == each] for each in ("moved", "refused", "failed", "tries")}
    lagged = read_shown(client, NAME).aliases[CHAMPION] != champion
    aliases = show(Ledger(client, NAME).read(), everything=True)  # as `unblur registry check --mend` does
    marked = {number for number in range(1, VERSIONS + 1) if ROLLED_BACK in read_version(client, NAME, number).tags}
    tried = max(1, outcome["moved"] + outcome["refused"] + outcome["tries"])
    figures |= {
        "moves a second": round(len(valid) / figures["seconds"], 2),
        "core seconds of the workers for each that is tried": round(figures["core seconds"] / tried, 3),
        "versions of the ledger": len(found),
        "valid moves": len(valid),
        "told as moved": outcome["moved"],
        "told as refused": outcome["refused"],
        "killed before they were told": outcome["tries"],
        "... whose move is in the ledger": sum(written[why] for why in of["tries"]),
        "failed, most often as the store was away": outcome["failed"],
        "... in these words": dict(faults.most_common(10)),
        "... whose move is in the ledger all the same": sum(written[why] for why in of["failed"]),
        "requests that were sent twice": doubles,
        "the alias lagged in the end": lagged,
        "numbers that are missing": gaps,
        "not where the one before ended, or sent twice and valid": broken,
        "told as moved and not in the ledger": sorted(why for why in of["moved"] if not written[why]),
        "refused and in the ledger": sorted(why for why in of["refused"] if written[why]),
        "in the ledger twice": sorted(why for why, times in written.items() if times > 1),
        "in the ledger and never tried": sorted(set(written) - set(said) - {"laid out"}),
        "aliases that are elsewhere than the moves say": [
            f"{alias}: v{aliases.get(alias)}, by the moves v{wanted}"
            for alias, wanted in ((CHAMPION, champion), (PREVIOUS, good[-1] if good else None))
            if aliases.get(alias) != wanted
        ],
        "marked as rolled back and not, or the other way round": sorted(marked ^ out),
    }
    print(json.dumps(figures, indent=1))
    sys.exit(int(any(isinstance(value, list) and value for value in figures.values())))


def fork(action, *arguments) -> int:
    """Run an action in a process of its own and return its id."""
    child = os.fork()
    if child:
        return child
    try:
        random.seed()
        action(*arguments)
        os._exit(0)
    except BaseException as error:
        print(f"{os.getpid()}: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)


if __name__ == "__main__":
    main()
