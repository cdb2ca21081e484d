"""The near side of the process cameras are forked from (edge/fork_server.py): asks, and hears of ends."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from edge.fork_server import MAX_PACKET, ROOM

logger = logging.getLogger(__name__)

END_S = 1.0


class Forks:
    """The processes of cameras, by their names. Never waits.

    Where the process they are forked from ends by itself, its cameras count as ended by SIGTERM, which the
    kernel sends them; the next ``begin`` starts another.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._running: dict[str, int | None] = {}
        self._codes: dict[str, int] = {}

    def begin(self, name: str, environment: Mapping[str, str]) -> None:
        """Begin a camera with an environment of its own; one that cannot be begun has ended."""
        self._codes.pop(name, None)
        self._running[name] = None
        if self._channel is None:
            self._start()
        self._tell({"begin": name, "environment": dict(environment)})

    def pid(self, name: str) -> int | None:
        """Return the process of a camera; None before it is forked, and after its end."""
        return self._running.get(name)

    def ended(self, name: str) -> int | None:
        """Return the exit code of a camera, negative for a signal; None while it runs."""
        return self._codes.get(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        if name in self._running:
            self._tell({"signal": int(number), "camera": name})

    @property
    def channel(self) -> socket.socket | None:
        """What to wait at for news."""
        return self._channel

    def listen(self) -> None:
        """Take what was told."""
        while self._channel is not None:
            try:
                packet = self._channel.recv(MAX_PACKET, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lost()
                return
            told = json.loads(packet)
            if "begun" in told:
                self._running[told["begun"]] = told["pid"]
                continue
            if "why" in told:
                logger.error("camera %s: cannot be begun: %s", told["ended"], told["why"])
            self._running.pop(told["ended"], None)
            self._codes[told["ended"]] = told["code"]

    def close(self) -> None:
        """End the process; cameras that still run get SIGTERM."""
        if self._process is None:
            return
        self._leave()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it is still loading
            self._process.wait()
        self._process = None

    def _start(self) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge.fork_server", str(far.fileno()), str(self._path), "-" * ROOM],
                stdin=subprocess.DEVNULL,
                pass_fds=(far.fileno(),),
                process_group=0,
            )
        self._channel = near

    def _tell(self, packet: dict[str, object]) -> None:
        try:
            if self._channel is None:
                raise ConnectionError("it is gone")
            self._channel.send(json.dumps(packet).encode(), socket.MSG_DONTWAIT)
        except OSError:
            self._lost()

    def _lost(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            logger.error("the process cameras are forked from ended (%s)", process.wait())
            self._process = None
        self._leave()
        self._codes |= dict.fromkeys(self._running, -signal.SIGTERM)
        self._running.clear()

    def _leave(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.close()
            self._channel = None
