"""Fail or stop each write, sync and rename of a scenario in turn: python run.py SCENARIO FOLDER, under the shim.

A scenario is run once to be counted. Then, for every step and every way to fail (ENOSPC, EIO, EACCES, a kill before
it), the state before is laid out anew and the scenario runs in a forked process. After a kill, what was written and
not synced is dropped, as a power cut would. The state has to be the one before or the one after, the one after if the
process ended with success, and the next run has to end with the one after.
"""

import ctypes
import errno
import importlib
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
KILL = -1
WAYS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EACCES": errno.EACCES, "kill": KILL}
DONE, FAILED, WRONG = 0, 1, 2


def in_child(action, root, *, watched=None, at=0, how=0, log=-1):
    """Run `action(root)` in a forked process, armed below `watched`; return its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    silent = os.open(os.devnull, os.O_WRONLY)
    report = os.open(f"{root}.error", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    shim = ctypes.CDLL(None)
    try:
        if watched is not None:
            shim.fault_arm(str(watched).encode(), ctypes.c_long(at), ctypes.c_long(how), log)
        action(root)
        code = DONE
    except AssertionError:
        code = WRONG
        os.write(report, traceback.format_exc().encode())
    except BaseException:
        code = FAILED
        os.write(report, traceback.format_exc().encode())
    os._exit(code)


def drop_unsynced(root, log):
    """Cut every file back to where it was before the first write that no sync followed."""
    kept = {}
    for line in log.read_text().splitlines():
        what, inode, size = line.split()
        if what == "w":
            kept.setdefault(int(inode), int(size))
        elif what == "s":
            kept.pop(int(inode), None)
    for path in root.rglob("*"):
        if path.is_file() and path.suffix not in {".db", ".db-journal"} and path.stat().st_ino in kept:
            os.truncate(path, kept[path.stat().st_ino])


def lost_names(log):
    """Return the folders that something was renamed into and that were not synced afterwards."""
    open_ends = set()
    for line in log.read_text().splitlines():
        what, inode, _ = line.split()
        (open_ends.add if what == "r" else open_ends.discard)(inode) if what in "rs" else None
    return sorted(open_ends)


def main(name, folder):
    from scenarios import SCENARIOS

    scenario = SCENARIOS[name]
    for module in scenario.modules:
        importlib.import_module(module)
    root, template, log = folder / "root", folder / "template", folder / "log"
    root.mkdir(parents=True)
    if in_child(scenario.before, root):
        sys.exit(Path(f"{root}.error").read_text())
    shutil.copytree(root, template, symlinks=True)

    def trial(at, how):
        shutil.rmtree(root)
        shutil.copytree(template, root, symlinks=True)
        number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        status = in_child(scenario.act, root, watched=root / scenario.watched, at=at, how=how, log=number)
        os.close(number)
        if os.WIFSIGNALED(status) or status == 0:  # success is a promise that a power cut cannot break
            drop_unsynced(root, log)
        return status

    problems = []

    def check(what, status):
        def look_and_go_on(place):
            scenario.check(place, done=status == 0)
            scenario.act(place)
            scenario.check(place, done=True)

        if in_child(look_and_go_on, root):
            ended = "done" if status == 0 else "killed" if os.WIFSIGNALED(status) else "refused"
            problems.append(f"{what}, {ended}: " + Path(f"{root}.error").read_text())

    if trial(0, 0):
        sys.exit(Path(f"{root}.error").read_text())
    steps = [line.split()[0] for line in log.read_text().splitlines()]
    problems += [f"renamed into the folder with inode {inode}, which was not synced" for inode in lost_names(log)]
    check("undisturbed", 0)
    ends = {"done": 0, "refused": 0, "killed": 0}
    tried = [at for at, kind in enumerate(steps, 1) if kind in scenario.tried]
    for at in tried:
        ways = list(WAYS) if scenario.all_ways else ["kill", list(WAYS)[at % 3]]
        for way in ways:
            status = trial(at, WAYS[way])
            ends["killed" if os.WIFSIGNALED(status) else "refused" if status else "done"] += 1
            check(f"step {at} of {len(steps)} ({steps[at - 1]}), {way}", status)
    kinds = {kind: steps.count(kind) for kind in "wsr"}
    print(json.dumps({"steps": len(tried), "kinds": kinds, "ends": ends, "problems": problems}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
