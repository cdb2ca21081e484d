"""A broker of our own on loopback, for one command and for tests: mosquitto, else amqtt, as a child.

It ends with its parent, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

Version = Literal["5", "3.1.1"]
Software = Literal["mosquitto", "amqtt"]
START_TIMEOUT_S = 15.0
LOOPBACK = "127.0.0.1"


class BrokerError(RuntimeError):
    """No broker could be started; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


def free_port() -> int:
    """Return a loopback port nobody listens on at this instant."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def mosquitto_path() -> str | None:
    """Return where mosquitto is; Debian keeps it off the PATH of ordinary users."""
    return shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    )


def ends_with_parent() -> Callable[[], None]:
    """Return what a child calls before exec so that the kernel ends it with its parent (Linux)."""
    try:
        prctl = ctypes.CDLL(None).prctl  # looked up before the fork: only async-safe calls after it
    except (OSError, AttributeError):
        return lambda: None

    def ask() -> None:
        prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG

    return ask


@dataclass
class Broker:
    """A running child: where it listens and what it is."""

    software: Software
    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    host: str = LOOPBACK

    @property
    def mqtt_version(self) -> Version:
        return "5" if self.software == "mosquitto" else "3.1.1"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """End the child, gently and then firmly, and remove what it wrote."""
        stop_child(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End the child as a power cut would (kill -9)."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stop_child(process: subprocess.Popen[bytes], *, timeout_s: float = 5.0) -> None:
    """Terminate a child we started, kill it where it does not end, and reap it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def start_broker(
    *, port: int | None = None, software: Software | None = None, max_packet_bytes: int | None = None
) -> Broker:
    """Start a broker on loopback and return it once it takes connections.

    Args:
        port: a port to use; by default any free one.
        software: insist on one; by default mosquitto where it is installed, else amqtt.
        max_packet_bytes: the largest packet it takes (mosquitto only); by default any.

    Raises:
        BrokerError: none is installed, or it does not start.
    """
    path = mosquitto_path()
    if software is None:
        software = "mosquitto" if path else "amqtt"
    if software == "mosquitto" and path is None:
        raise BrokerError("mosquitto is not installed: apt-get install mosquitto")
    if software == "amqtt" and importlib.util.find_spec("amqtt") is None:
        raise BrokerError("neither mosquitto nor amqtt is installed: apt-get install mosquitto")
    tries = 1 if port else 3  # a free port may be taken by somebody else before the child has it
    for attempt in range(tries):
        chosen = port or free_port()
        try:
            return _start(software, path or "", chosen, max_packet_bytes)
        except BrokerError:
            if attempt == tries - 1:
                raise
    raise AssertionError("unreachable")


def _start(software: Software, path: str, port: int, max_packet_bytes: int | None) -> Broker:
    _must_be_free(port)
    # Not in the caller's folder: the broker does not run as root and must be able to read its own.
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-broker-"))
    folder.chmod(0o755)
    log = folder / "broker.log"
    if software == "mosquitto":
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {port} {LOOPBACK}\nallow_anonymous true\npersistence false\n"
            # mosquitto 2.0.11 counts every message it ever queued for a subscriber: a limit of 10,000 is
            # reached for good, and whatever cannot leave at once is acknowledged and dropped from then on.
            "max_queued_messages 2000000000\nmax_inflight_messages 200\n"
            "log_dest stderr\nlog_type error\nlog_type warning\n"
            + (f"max_packet_size {max_packet_bytes}\n" if max_packet_bytes else "")
        )
        config.chmod(0o644)
        command = [path, "-c", str(config)]
    else:
        command = [sys.executable, "-m", "broker.embedded", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=ends_with_parent(),
            user=_unprivileged() if software == "mosquitto" else None,
            process_group=0,  # Ctrl-C is for the parent, which ends its children in order
        )
    broker = Broker(software, port, process, folder)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1.0):
            return broker
        time.sleep(0.02)
    tail = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    broker.stop()
    raise BrokerError(f"{software} did not start on port {port}: {tail[0]}")


def _must_be_free(port: int) -> None:
    """Raise BrokerError where somebody listens already: their answer must not pass for the child's."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            raise BrokerError(f"port {port} on {LOOPBACK}: {error.strerror or error}") from error


def _unprivileged() -> str | None:
    """Return whom to run as where we are root. mosquitto's own change of user would unset PDEATHSIG."""
    if os.geteuid() != 0:
        return None
    for user in ("mosquitto", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(user)
            return user
    return None


def _serve_amqtt(port: int) -> None:
    import asyncio
    import logging

    from amqtt.broker import Broker as Amqtt

    logging.basicConfig(level=logging.ERROR)

    async def serve() -> None:
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        broker = Amqtt(config)
        await broker.start()
        await stop.wait()
        await broker.shutdown()

    asyncio.run(serve())


if __name__ == "__main__":
    _serve_amqtt(int(sys.argv[1]))
