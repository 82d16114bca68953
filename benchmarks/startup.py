"""Times `alive --help` in fresh processes: it has to stay under half a second.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LIMIT = 0.5
RUNS = 7


def main() -> int:
    """Prints median and slowest of several starts; returns 1 when the median is too slow."""
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "alive.cli", "--help"], check=True, stdout=subprocess.DEVNULL
        )
        seconds.append(time.perf_counter() - start)
    warm = seconds[1:]  # the first start may compile bytecode
    median = statistics.median(warm)
    print(f"alive --help: median {median:.3f} s, slowest {max(warm):.3f} s, limit {LIMIT} s")
    return int(median > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
