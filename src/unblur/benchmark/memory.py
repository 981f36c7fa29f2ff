"""What a fresh process needs: time to load, time of the first image, peak memory.

Each candidate gets a process of its own (`python -m unblur.benchmark.memory`): in a shared one the peak would be that
of the largest, and the first call would find everything warm.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from unblur.benchmark.latency import checked_size, in_tiles, large, random_image
from unblur.benchmark.runtimes import RUNTIMES
from unblur.errors import UnblurError


@dataclass(frozen=True)
class FreshStart:
    """The first image of one size in a fresh process.

    Attributes:
        height: of the image.
        width: of the image.
        load_ms: from a started interpreter to a loaded model, the runtime's import included.
        first_ms: the first call at this size.
        peak_mb: the process's largest resident memory until then, in 10^6 bytes.
    """

    height: int
    width: int
    load_ms: float
    first_ms: float
    peak_mb: float


def measure_fresh_start(
    runtime: str, file: Path, sizes: Sequence[Sequence[int]], threads: int, timeout: float = 600
) -> list[FreshStart]:
    """Run a model in a runtime, in a process of its own, at each size from small to large.

    Raises:
        UnblurError: the process failed, or took longer than `timeout` seconds.
    """
    ordered = sorted(map(checked_size, sizes), key=lambda size: size[0] * size[1])
    task = json.dumps({"runtime": runtime, "file": str(file), "sizes": ordered, "threads": threads})
    command = [sys.executable, "-m", "unblur.benchmark.memory", task]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        msg = f"{runtime}: no result after {timeout:.0f} s; choose smaller benchmark.sizes"
        raise UnblurError(msg) from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}; out of memory?"])[-1]
        msg = f"{runtime}: cannot run {file} in a fresh process: {reason}"
        raise UnblurError(msg)
    return [FreshStart(**item) for item in json.loads(done.stdout.splitlines()[-1])]


def peak_memory() -> int:
    """Return the largest resident memory that this process has had so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; getrusage would include the parent's peak, inherited through fork and exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes


def _main() -> None:
    """Do one task and write its figures to stdout as JSON."""
    start = time.perf_counter()
    task = json.loads(sys.argv[1])
    run = RUNTIMES[task["runtime"]].load(Path(task["file"]), task["threads"])
    load_ms = 1e3 * (time.perf_counter() - start)
    figures = []
    for height, width in task["sizes"]:
        image = random_image(height, width)
        restore = in_tiles(run) if large((height, width)) else run
        start = time.perf_counter()
        restore(image)
        first_ms = 1e3 * (time.perf_counter() - start)
        figures.append(asdict(FreshStart(height, width, load_ms, first_ms, peak_memory() / 1e6)))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    try:
        _main()
    except UnblurError as error:
        sys.exit(str(error))
