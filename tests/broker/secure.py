"""A mosquitto as `nearmiss broker init` sets it up, on a free loopback port, for one test."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.embedded import LOOPBACK, ends_with_parent, free_port, mosquitto_path, stop_child
from broker.embedded import _unprivileged as unprivileged
from broker.mqtt import Session, wait_until
from broker.site_broker import BrokerFolder, init
from broker.tls import Tls


@dataclass
class SecureBroker:
    """A running broker that takes nobody without a certificate of its CA."""

    folder: BrokerFolder
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def tls(self, kind: str, name: str) -> Tls:
        place = self.folder.folder / f"{kind}s" / name
        return Tls(place / "ca.crt", place / "own.crt", place / "own.key")

    def session(self, name: str, *, tls: Tls | None, **more: Any) -> Session:
        values: dict[str, Any] = {"host": LOOPBACK, "port": self.port, "longest_pause_s": 0.2}
        return Session(client_id=name, tls=tls, **{**values, **more})

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def secure_broker(
    *,
    nodes: tuple[str, ...] = ("cam-n", "cam-s"),
    collectors: tuple[str, ...] = ("main",),
    hosts: tuple[str, ...] = ("broker.example",),
    listen: str = LOOPBACK,
    namespace: str | None = None,
    **more: Any,
) -> Iterator[SecureBroker]:
    """Yield one; its folder goes with it.

    Args:
        namespace: a network namespace to run in.
    """
    # Not in a test's own folder: mosquitto does not run as root and must reach its files.
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-secure-"))
    folder.chmod(0o755)
    try:
        port = free_port()
        made = init(
            folder / "broker",
            hosts=hosts,
            nodes=nodes,
            collectors=collectors,
            port=port,
            listen=listen,
            **more,
        )
        log = folder / "log"
        command = [mosquitto_path() or "mosquitto", "-c", str(made.folder / "mosquitto.conf")]
        user = unprivileged()
        if namespace is not None:
            # To enter it needs root, which mosquitto gives up by itself.
            command, user = ["ip", "netns", "exec", namespace, *command], None
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=user,
                preexec_fn=ends_with_parent(),
            )
        broker = SecureBroker(made, port, process, log)
        try:
            _wait_for(broker, listen)
            yield broker
        finally:
            stop_child(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(broker: SecureBroker, host: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, broker.port), timeout=1.0):
            return
        assert broker.process.poll() is None, broker.said()
        assert time.monotonic() < deadline, broker.said()
        time.sleep(0.02)


def connects(session: Session, *, timeout_s: float = 5.0) -> bool:
    return wait_until(session, lambda: session.connected, timeout_s=timeout_s)


def long_ago() -> datetime:
    """Return an instant whose certificates have ended."""
    return datetime.now(UTC) - timedelta(days=1000)
