"""What systemd is told: that the node is up, alive, reloading or ending (sd_notify(3)).

A few datagrams to a socket; without systemd nobody listens and nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Service:
    """The other side of ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @ for its leading zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(microseconds) * 1e-6 if microseconds.isdigit() and mine else None
        self._beaten_s = float("-inf")

    @staticmethod
    def environment_for(address: str, *, watchdog_s: float) -> dict[str, str]:
        """Return the environment of a child that shall report to ``address`` instead of to systemd."""
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "WATCHDOG_"))
        }
        return {**own, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(round(watchdog_s * 1e6))}

    def ready(self) -> None:
        """The node is up, or has taken a new configuration over."""
        self._say("READY=1")

    def reloading(self) -> None:
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def status(self, words: str) -> None:
        """One line that `systemctl status` shows."""
        self._say(f"STATUS={words}")

    def beat(self) -> None:
        """Say that all is well; to be called often, says it four times in the watchdog's time."""
        now = time.monotonic()
        if self.watchdog_s is not None and now - self._beaten_s >= self.watchdog_s / 4:
            self._beaten_s = now
            self._say("WATCHDOG=1")

    def _say(self, state: str) -> None:
        if not self._address:
            return
        # A service manager that is not there any more is no reason to end.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1.0)
            sock.sendto(state.encode(), self._address)
