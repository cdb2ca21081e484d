"""The process that cameras are forked from: everything is loaded once, and all share what nobody writes to.

Started by ``edge.forks``. It opens no picture, no database and no connection, and has one thread, so that a
fork of it is whole. It speaks JSON, a packet each:

::

    in    begin, environment       fork a camera, which goes on as `nearmiss run NODE --camera NAME`
          signal, camera           send a camera a signal: the parent alone knows that a pid is still its
    out   begun, pid               a camera was forked
          ended, code              one has ended: its exit code, negative for a signal

It ends when the other side does; the kernel then sends SIGTERM to what cameras there are.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

# What a camera of any kind runs. No runtime of networks: one that shares a detector has none, and one that
# does not would gain little, the libraries themselves being shared as files.
MODULES = (
    "edge.analyze",
    "edge.cli",
    "edge.daemon",
    "edge.opening",
    "edge.signals.sources",
    "models.motion",
    "models.shared",
    "scipy.optimize",
    "scipy.stats",
    "supervision",
    "trackers",
)
MAX_PACKET = 1 << 17
# Room in the command line for a camera's, which `ps` then shows.
ROOM = 200
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def load() -> None:
    """Load all a camera needs, and keep the collector of garbage from writing to it."""
    for name in MODULES:
        importlib.import_module(name)
    import cv2

    # A fork has none of its parent's threads, and cameras beside each other keep the cores busy without them.
    cv2.setNumThreads(1)
    gc.collect()
    gc.freeze()


class Server:
    """Forks cameras and tells of their ends."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._names: dict[int, str] = {}
        self._woken, self._wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)

    def run(self) -> str | None:
        """Serve until the other side ends, which returns None; in a camera just forked, return its name."""
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._woken], [], [])
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            if self._channel.fileno() in ready:
                packet = self._channel.recv(MAX_PACKET)
                if not packet:
                    return None
                asked = json.loads(packet)
                if "signal" in asked:
                    self._signal(asked["camera"], asked["signal"])
                elif self._fork(asked["begin"]):
                    self._become(asked["environment"])
                    return str(asked["begin"])

    def _fork(self, name: str) -> bool:
        """Fork; True in the camera."""
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell({"ended": name, "code": 1, "why": str(error)})
            return False
        if pid:
            self._names[pid] = name
            self._tell({"begun": name, "pid": pid})
            return False
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        return True

    def _become(self, environment: dict[str, str]) -> None:
        """Leave everything of the parent's behind."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._channel.close()
        os.close(self._woken)
        os.close(self._wakes)
        os.setpgid(0, 0)  # Ctrl-C is for the supervisor, which ends its cameras in order
        os.environ.clear()
        os.environ.update(environment)

    def _signal(self, name: str, number: int) -> None:
        for pid, each in self._names.items():
            if each == name:
                os.kill(pid, number)

    def _reap(self) -> None:
        while self._names:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._tell({"ended": self._names.pop(pid), "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, packet: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the other side is gone: the next packet says so
            self._channel.send(json.dumps(packet).encode())


def shown_as(arguments: list[str], *, name: str) -> None:
    """Let `ps` show a forked process as what it is, where the kernel lets it.

    Its command line is overwritten in place, as far as the parent's had room. Source: proc(5), arg_start.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])
    except (OSError, ValueError, IndexError):
        return
    text = b"\0".join(each.encode() for each in arguments) + b"\0"
    if start > 0 and len(text) < end - start:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, len(text))


def main() -> None:
    """Serve; in a camera, run it as the command line would."""
    # The supervisor ends it: a service manager's SIGTERM, sent to all, must not take the cameras' parent.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    channel, path = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    load()
    name = Server(channel).run()
    if name is None:
        return
    arguments = ["run", path, "--camera", name]
    shown_as([sys.executable, "-m", "edge", *arguments], name=name)
    sys.argv = ["nearmiss", *arguments]
    from edge import cli

    cli.main()


if __name__ == "__main__":
    main()
