"""How the collector is, said honestly: each part is looked at when it is asked, not remembered.

Alive means that its threads run; ready means that what a node sends now would be stored and receipted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from broker.collector.store import Store

# A probe of the store is a commit to its disk: asked more often than this it is answered from the last one.
PROBE_EVERY_S = 5.0


class Thread(Protocol):
    """A part of the collector that runs by itself."""

    @property
    def alive(self) -> bool: ...


class Intake(Thread, Protocol):
    """The thread that takes messages."""

    store_fails: bool

    @property
    def connected(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    well: bool
    said: str


class Health:
    """Looks at the parts of one collector.

    Args:
        threads: the parts by name, besides the intake, without which it is not alive.
        others: what else must hold to be ready, by name.
        disks: folders that need room, by name.
        room_bytes: how much.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        *,
        threads: Mapping[str, Thread],
        disks: Mapping[str, Path],
        room_bytes: int,
        others: Mapping[str, Callable[[], bool]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._intake = store, intake
        self._threads, self._disks, self._room_bytes = threads, disks, room_bytes
        self._others = others or {}
        self._monotonic = monotonic
        self._probe: tuple[float, Check] | None = None

    def live(self) -> dict[str, Check]:
        """Return whether each thread runs."""
        threads = {"intake": self._intake, **self._threads}
        return {
            name: Check(each.alive, "runs" if each.alive else "has ended") for name, each in threads.items()
        }

    def ready(self) -> dict[str, Check]:
        """Return all that a stored and receipted message needs."""
        return {
            **self.live(),
            "broker": Check(
                self._intake.connected,
                "connected" if self._intake.connected else "not connected",
            ),
            "store": self._writable(),
            **{
                name: Check(well := holds(), "well" if well else "fails")
                for name, holds in self._others.items()
            },
            **{f"disk of {name}": self._room(folder) for name, folder in self._disks.items()},
        }

    def free_bytes(self) -> dict[str, int]:
        """Return the room on each disk."""
        return {name: shutil.disk_usage(folder).free for name, folder in self._disks.items()}

    def _writable(self) -> Check:
        if self._intake.store_fails:
            return Check(False, "the last batch could not be stored")
        now = self._monotonic()
        if self._probe is None or now - self._probe[0] >= PROBE_EVERY_S:
            self._probe = (now, self._commit())
        return self._probe[1]

    def _commit(self) -> Check:
        """Commit something to the store's disk that changes nothing."""
        try:
            with self._store.write() as connection:
                if connection.dialect.name == "postgresql":
                    read_only = text("SELECT current_setting('transaction_read_only') = 'on'")
                    if connection.execute(read_only).scalar_one():
                        return Check(False, "read only")
                    connection.execute(text("SELECT pg_logical_emit_message(true, 'nearmiss', 'probe')"))
                else:
                    (version,) = connection.execute(text("PRAGMA user_version")).one()
                    connection.execute(text(f"PRAGMA user_version = {(version + 1) % 1_000_000}"))
        except (SQLAlchemyError, OSError) as error:
            return Check(False, str(getattr(error, "orig", error)).splitlines()[0])
        return Check(True, "takes a commit")

    def _room(self, folder: Path) -> Check:
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return Check(False, error.strerror or str(error))
        return Check(
            free >= self._room_bytes, f"{free // 2**20} MiB free, {self._room_bytes // 2**20} needed"
        )
