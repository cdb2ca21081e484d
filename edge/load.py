"""What a process and its children take of the machine: memory and processor time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

OVER_S = 10.0
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_TICKS_HZ = os.sysconf("SC_CLK_TCK")


class Load:
    """Memory now, and processor time over the last stretch that was measured."""

    def __init__(self) -> None:
        self._then = (time.monotonic(), _cpu_s(family()))
        self._percent: float | None = None

    def figures(self) -> dict[str, float | None]:
        """Return ``memory_mb`` and ``cpu_percent`` (100: one core) of this process and its children."""
        pids = family()
        now, (then, before) = time.monotonic(), self._then
        if now - then >= OVER_S:
            used = _cpu_s(pids)
            # A decoder that was started anew has used less than the one before it.
            self._percent = round(max(used - before, 0.0) / (now - then) * 100, 1)
            self._then = (now, used)
        return {"memory_mb": round(memory_mb(pids), 1), "cpu_percent": self._percent}


def family() -> list[int]:
    """Return this process and its children."""
    pids = [os.getpid()]
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pids += [int(pid) for pid in (task / "children").read_text().split()]
    return pids


def memory_mb(pids: list[int]) -> float:
    """Return the resident memory of processes; what they share is counted for each."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE_MB


def _cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Behind the name, which may hold spaces: state is field 3, utime 14, stime 15 (proc(5)).
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_HZ
