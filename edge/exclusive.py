"""One user an outbox: two nodes on one would give the same numbers twice."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import InputError


@contextmanager
def only_user(outbox: Path) -> Iterator[None]:
    """Hold the outbox for this process.

    Raises:
        InputError: another node has it.
    """
    outbox.parent.mkdir(parents=True, exist_ok=True)
    with outbox.with_name(outbox.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{outbox}: in use by another node; each node has an outbox of its own"
            ) from None
        yield
