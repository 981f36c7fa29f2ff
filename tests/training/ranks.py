"""Processes of trainings, forked from one that has imported everything: seconds saved for each. Run by the tests.

Reads a line of JSON for each: {"folder", "environment", "arguments", "log"}; answers with its number. A number read
alone is waited for, and answered with its exit code.
"""

import json
import os
import sys

import unblur.stages.train
import unblur.training.fit
import unblur.training.sharded


def begin(folder: str, environment: dict[str, str], arguments: list[str], log: str) -> int:
    if pid := os.fork():
        return pid
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = [unblur.stages.train.__file__, *arguments]
    code = 0
    try:
        unblur.stages.train.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, int):
        print(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]), flush=True)
    else:
        print(begin(**asked), flush=True)
