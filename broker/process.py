"""A process whose memory nobody else can read: no core dumps, no debugger of the same user.

A node's memory holds frames for a moment, a collector's what people decided. Source: shared PRIVACY §4; Linux
prctl(2) PR_SET_DUMPABLE, getrlimit(2) RLIMIT_CORE, core(5).
"""

from __future__ import annotations

import ctypes
import os
import resource

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


class HardeningError(RuntimeError):
    """The kernel did not do what it was asked; ``problems`` says what."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


def harden() -> None:
    """Switch core dumps off and close this process's memory to others, and check that both hold.

    To be called first at the start, before anything is in memory; children inherit the limit of 0.

    Raises:
        HardeningError: this kernel refuses it. The process is not to start then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise HardeningError(f"PR_SET_DUMPABLE: {os.strerror(ctypes.get_errno())}")
    for problem in open_doors():
        raise HardeningError(problem)


def open_doors() -> list[str]:
    """Return by which ways the memory of this process could still reach a file or another process."""
    problems = []
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        problems.append(f"core dumps are on (RLIMIT_CORE {resource.getrlimit(resource.RLIMIT_CORE)})")
    if ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        problems.append("the memory of this process can be read by others (PR_GET_DUMPABLE is not 0)")
    return problems
