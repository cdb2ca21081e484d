"""The whole chain on one machine: broker and collector as children, a node's outbox and publish thread here.

Nothing is short-cut: a message goes outbox → MQTT → collector → store → receipt, as on a street.
"""

from __future__ import annotations

import logging
import select
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from broker.drawing import Clip, Plate
from broker.embedded import Broker, Software, ends_with_parent, start_broker, stop_child
from broker.wire import Event, LocalEvent, Status
from edge import __version__
from edge.dispatch import Dispatch
from edge.errors import InputError
from edge.outbox import Outbox
from edge.publish import Publisher
from edge.rules.finding import Exposure

if TYPE_CHECKING:
    from calibration.site import Site

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 30.0
# On loopback a receipt takes milliseconds; what has none after this is sent again.
RETRY_S = 0.5


class ChainError(RuntimeError):
    """A part of the chain did not start or has ended; ``problems`` says which."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


class LocalChain:
    """A context manager; while it is open, what is published is stored and receipted.

    Args:
        folder: where the outbox, the store and the clips lie, in ``chain/``.
        site: for its id and its time bin.
        fresh: begin with empty stores; else go on with what an earlier run left.
        software: the broker to use; by default mosquitto where it is installed, else amqtt.
        settings: the rest of collector.toml, beside broker and store.
    """

    def __init__(
        self,
        folder: Path,
        *,
        site: Site,
        node: str = "demo",
        fresh: bool = True,
        software: Software | None = None,
        settings: str = "[review]\nenabled = false\n",
    ) -> None:
        self.folder = folder / "chain"
        self.site, self.node = site, node
        self._fresh, self._software, self._settings = fresh, software, settings
        self.broker: Broker | None = None
        self.collector: subprocess.Popen[bytes] | None = None
        self._outbox: Outbox | None = None
        self._publisher: Publisher | None = None
        self._dispatch: Dispatch | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._fresh:
            _clear(self.folder)
        try:
            self.broker = start_broker(software=self._software)
            self.start_collector()
            self._outbox = Outbox(self.folder / "outbox.db", retry_s=RETRY_S)
            self._dispatch = Dispatch(
                self._outbox,
                site=self.site.id,
                node=self.node,
                time_bin_s=self.site.thresholds.time_bin_s,
                at_once=True,
            )
            self._publisher = Publisher(
                self._outbox,
                site=self.site.id,
                node=self.node,
                host=self.broker.host,
                port=self.broker.port,
                health=self._status,
                hold_s=RETRY_S,
                longest_pause_s=1.0,
                version=self.broker.mqtt_version,
            )
            self._publisher.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every part, children included; safe to call twice."""
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None
        if self.collector is not None:
            stop_child(self.collector)
            if self.collector.stdout is not None:
                self.collector.stdout.close()
            self.collector = None
        if self.broker is not None:
            self.broker.stop()
            self.broker = None
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def publish(self, event: LocalEvent, clip: Clip | None) -> UUID:
        """Hand over an event with its clip, if it has one; return the event's id on the wire."""
        return self._open().event(event, clip)

    def publish_plate(self, plate: Plate) -> str:
        """Hand over the plate; return its hash, which clips published from now on name."""
        return self._open().plate(plate)

    def publish_counts(self, exposures: Iterable[Exposure]) -> int:
        """Hand over exposure counts; return how many messages that makes."""
        return self._open().counts(exposures)

    def drain(self, timeout_s: float = 30.0) -> bool:
        """Wait until the collector has receipted all that was handed over; False when the time is over.

        Raises:
            ChainError: a part of the chain has ended by itself.
        """
        self._open()
        outbox, publisher = self._outbox, self._publisher
        assert outbox is not None
        assert publisher is not None
        deadline = time.monotonic() + timeout_s
        while True:
            level = outbox.level()
            if level.rows == 0:
                return level.quarantined == 0
            if not publisher.alive:
                raise ChainError(f"the publish thread ended: {publisher.error}")
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)

    def stored_events(self) -> list[Event]:
        """Return every event in the collector's store."""
        from broker.collector.store import Store, stored_events

        store = Store(self._database)
        try:
            with store.read() as connection:
                return stored_events(connection)
        finally:
            store.close()

    def serve(self, port: int = 8080) -> None:
        """Show the review page on loopback until Ctrl-C."""
        from broker.collector.clips import ClipFolder
        from broker.collector.review.server import ALONE, ReviewServer
        from broker.collector.store import Store

        store = Store(self._database)
        page = ReviewServer(store, ClipFolder(self.folder / "clips"), port=port, link=True, settings=ALONE)
        page.start()
        print(f"Review page: {page.url}   (Ctrl-C ends it)", flush=True)  # noqa: T201 — what a person waits for
        try:
            while page.alive:
                time.sleep(0.2)
        except KeyboardInterrupt:
            print()  # noqa: T201 — leaves the ^C on its own line
        finally:
            page.close()
            store.close()

    def start_collector(self) -> None:
        """Start the collector as a child and wait until it takes messages; again after it was killed.

        Raises:
            ChainError: it does not start.
        """
        if self.broker is None:
            raise ChainError("the chain is not open")
        config = self.folder / "collector.toml"
        config.write_text(
            f'[broker]\nhost = "{self.broker.host}"\nport = {self.broker.port}\n'
            '[store]\ndatabase = "sqlite:///collector.db"\nclips = "clips"\n' + self._settings
        )
        log = self.folder / "collector.log"
        with log.open("ab") as errors:
            self.collector = subprocess.Popen(
                [sys.executable, "-m", "broker.collector.serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                preexec_fn=ends_with_parent(),
                process_group=0,  # Ctrl-C is for the parent, which ends its children in order
            )
        if not _said_ready(self.collector):
            tail = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            if "No module named" in tail[0]:
                raise InputError(
                    f"the collector is not installed: pip install 'nearmiss[collector]' ({tail[0]})"
                )
            raise ChainError(f"the collector did not start: {tail[0]}")

    @property
    def _database(self) -> str:
        return f"sqlite:///{(self.folder / 'collector.db').resolve()}"

    def _open(self) -> Dispatch:
        if self._dispatch is None or self._outbox is None:
            raise ChainError("the chain is not open")
        return self._dispatch

    def _status(self, last_seq: int) -> Status:
        level = self._outbox.level() if self._outbox is not None else None
        return Status(
            site=self.site.id,
            node=self.node,
            seq=last_seq,
            state="running",
            outbox_rows=level.rows if level else None,
            evicted_clips=level.evicted_clips if level else None,
            evicted_events=level.evicted_events if level else None,
            quarantined=level.quarantined if level else None,
            software=f"nearmiss {__version__}",
        )


def _clear(folder: Path) -> None:
    """Remove what an earlier run left, and nothing else that may lie there."""
    for pattern in ("outbox.db*", "collector.db*", "collector.log", "clips/??/*.json", "clips/??/*.part"):
        for path in folder.glob(pattern):
            path.unlink()


def _said_ready(child: subprocess.Popen[bytes]) -> bool:
    assert child.stdout is not None
    deadline = time.monotonic() + READY_TIMEOUT_S
    while (left := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([child.stdout], [], [], min(left, 0.5))
        if readable:
            line = child.stdout.readline()
            if line.startswith(b"collector: ready"):
                return True
            if not line:
                return False  # it ended
    return False
