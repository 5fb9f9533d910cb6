"""What a call costs: the median time of several calls side by side, and the memory one call needs at its peak."""

import statistics
import subprocess
import sys
import time
from pathlib import Path


def medians(calls, rounds=3, settle=False):
    """Median seconds of each call, measured in turns so that a busy machine slows all alike. {name: f} -> {name: s}.

    Call each once before: a first call also pays for threads and caches. settle: make each timed call follow an untimed
    one of its own, as in a loop, so that it does not pay for the caches and the heap that another left behind.
    """
    seconds = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if settle:
                call()
            begun = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_memory(script, *arguments):
    """The MiB that `python script --memory *arguments`, a process of its own, prints last."""
    command = [sys.executable, script, "--memory", *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def resident_peak():
    """The largest resident memory of this process so far, in MiB; NaN where the system has no /proc."""
    status = Path("/proc/self/status")  # ru_maxrss would start from the parent's peak
    if not status.exists():
        return float("nan")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10
