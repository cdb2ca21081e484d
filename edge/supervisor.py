"""Several cameras on one machine: a process each, started again when it ends, killed when it hangs.

A camera whose decoder, detector or site file fails takes no other with it: all they share is this file's
small loop, and the process they are forked from (edge/fork_server.py); neither opens a picture, a database or
a connection.
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from edge.config import SHARED_DETECTOR, NodeConfig, load_cameras
from edge.forks import Forks
from edge.service import Service

logger = logging.getLogger(__name__)

TURN_S = 0.25
# A node beats many times in this; one that does not, hangs.
HANGS_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
# One that ran so long was well: the next pause is short again.
GOOD_S = 120.0
# A node ends within 5 s of its SIGTERM; what it has found by then is in its outbox either way.
END_S = 4.8
# What was killed is gone well within this.
KILLED_S = 2.0


def supervise(path: Path, cameras: Sequence[NodeConfig]) -> int:
    """Run a process a camera until all recordings have ended, or SIGTERM; 1 where one ended by a fault."""
    return _Supervisor(path, cameras).run()


@contextmanager
def _detectors(cameras: Sequence[NodeConfig], *, given_up: Callable[[], bool]) -> Iterator[dict[str, str]]:
    """Start a process a shared model; yields where each camera that shares finds its own.

    Raises:
        models.card.ModelError: a model cannot be used.
    """
    sharing: dict[tuple[str, str | None, int | None], list[str]] = {}
    for config in cameras:
        if config.detector.shared == "on":
            key = (config.detector.model, config.detector.provider, config.detector.threads)
            sharing.setdefault(key, []).append(config.node.id)
    if not sharing:
        yield {}
        return
    # What it takes to look at pictures is loaded here only where detectors are shared.
    from edge.opening import default_threads
    from models.shared_process import GivenUpError, SharedDetectorProcess

    with contextlib.ExitStack() as stack:
        sockets: dict[str, str] = {}
        for (model, provider, threads), names in sharing.items():
            process = SharedDetectorProcess(
                model, provider=provider, threads=threads or default_threads(), given_up=given_up
            )
            with contextlib.suppress(GivenUpError):
                sockets |= dict.fromkeys(names, str(stack.enter_context(process).path))
        yield sockets


class _Camera:
    """One camera's process, now or after a pause."""

    def __init__(self, name: str, detector: str | None, forks: Forks) -> None:
        self.name, self._detector, self._forks = name, detector, forks
        self._runs = False
        self._started_s = self._beaten_s = 0.0
        self._next_s = 0.0
        self._failures = 0
        self.ready = False
        self.code: int | None = None  # of a process that ended for good
        # The kernel gives it a name in the abstract namespace, which leaves no file behind.
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notes.bind("")
        self.notes.setblocking(False)

    @property
    def ended(self) -> bool:
        return self.code is not None

    def turn(self, now: float) -> None:
        """Start it where it is due, see whether it ended, kill it where it hangs."""
        if self.ended:
            return
        if not self._runs:
            if now >= self._next_s:
                self._start(now)
            return
        code = self._forks.ended(self.name)
        if code is not None:
            self._after(code, now)
        elif now - self._beaten_s > HANGS_S:
            logger.error("camera %s: gave no sign of life for %.0f s, is killed", self.name, HANGS_S)
            self._beaten_s = now
            self._forks.signal(self.name, signal.SIGKILL)

    def listen(self, now: float) -> None:
        """Take what it has said to its service manager, which is this process."""
        with contextlib.suppress(BlockingIOError):
            while note := self.notes.recv(4096):
                self._beaten_s = now
                self.ready = self.ready or b"READY=1" in note

    def tell(self, number: signal.Signals) -> None:
        if self._runs:
            self._forks.signal(self.name, number)

    def end(self, deadline: float) -> None:
        """Wait for its end until a monotonic instant, then kill it."""
        if not self._runs:
            return
        if self._code_by(deadline) is None:
            logger.error("camera %s: did not end in time, is killed", self.name)
            self._forks.signal(self.name, signal.SIGKILL)
        code = self._code_by(time.monotonic() + KILLED_S)
        # One that had not yet begun to listen to signals ended by it, as was wanted.
        self.code = 0 if code == -signal.SIGTERM else -signal.SIGKILL if code is None else code
        self._runs = False

    def _code_by(self, deadline: float) -> int | None:
        """Return its exit code once it has ended; None where it has not by a monotonic instant."""
        while (code := self._forks.ended(self.name)) is None and time.monotonic() < deadline:
            if self._forks.channel is not None:
                select.select([self._forks.channel], [], [], max(deadline - time.monotonic(), 0.0))
            self._forks.listen()
        return code

    def close(self) -> None:
        self.notes.close()

    def _start(self, now: float) -> None:
        address = "@" + self.notes.getsockname()[1:].decode()
        shared = {} if self._detector is None else {SHARED_DETECTOR: self._detector}
        self._forks.begin(self.name, Service.environment_for(address, watchdog_s=HANGS_S / 2) | shared)
        self._runs = True
        self._started_s = self._beaten_s = now
        self.ready = False

    def _after(self, code: int, now: float) -> None:
        self._runs = self.ready = False
        if code == 0:
            self.code = 0
            logger.info("camera %s: its recording has ended", self.name)
            return
        if now - self._started_s > GOOD_S:
            self._failures = 0
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        pause_s = longest * random.uniform(0.5, 1.0)
        self._failures += 1
        self._next_s = now + pause_s
        why = f"signal {-code}" if code < 0 else "a mistake in its files" if code == 2 else f"exit {code}"
        logger.error("camera %s: ended (%s); again in %.0f s", self.name, why, pause_s)


class _Supervisor:
    def __init__(self, path: Path, cameras: Sequence[NodeConfig]) -> None:
        self._path, self._configs = path, cameras
        self._forks = Forks(path)
        self._cameras: dict[str, _Camera] = {}
        self._detectors: Mapping[str, str] = {}
        self._service = Service()
        self._stop = self._reload = self._up = False

    def run(self) -> int:
        codes: list[int] = []
        with self._signals(), _detectors(self._configs, given_up=lambda: self._stop) as self._detectors:
            self._add([config.node.id for config in self._configs])
            try:
                while not self._stop and not all(each.ended for each in self._cameras.values()):
                    self._turn()
            finally:
                self._service.stopping()
                codes = self._end(list(self._cameras.values()))
                self._forks.close()
        return 1 if any(codes) else 0

    def _add(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._cameras:
                self._cameras[name] = _Camera(name, self._detectors.get(name), self._forks)

    def _turn(self) -> None:
        now = time.monotonic()
        for camera in self._cameras.values():
            camera.turn(now)
        heard = [camera.notes for camera in self._cameras.values()]
        if self._forks.channel is not None:
            heard.append(self._forks.channel)
        with contextlib.suppress(InterruptedError):
            select.select(heard, [], [], TURN_S)
        self._forks.listen()
        for camera in self._cameras.values():
            camera.listen(time.monotonic())
        self._service.beat()
        running = sum(camera.ready for camera in self._cameras.values())
        if not self._up and running:
            self._up = True
            self._service.ready()
        if self._up:
            self._service.status(f"{running} of {len(self._cameras)} cameras run")
        if self._reload:
            self._reload = False
            self._reloaded()

    def _reloaded(self) -> None:
        """Read node.toml again: new cameras begin, those left out end, the others read their part anew."""
        try:
            configs = load_cameras(self._path)
        except ValueError as error:
            for problem in getattr(error, "problems", (str(error),)):
                logger.error("not taken over: %s", problem)
            logger.error("the cameras keep running as they were configured before")
            return
        names = [config.node.id for config in configs]
        gone = [camera for name, camera in self._cameras.items() if name not in names]
        self._end(gone)
        for camera in gone:
            del self._cameras[camera.name]
            logger.info("camera %s: left out of the new configuration, ended", camera.name)
        for camera in self._cameras.values():
            camera.tell(signal.SIGHUP)
        self._add(names)

    def _end(self, cameras: Sequence[_Camera]) -> list[int]:
        for camera in cameras:
            camera.tell(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        for camera in cameras:
            camera.end(deadline)
            camera.close()
        return [camera.code or 0 for camera in cameras]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop = True

        def reload(_number: int, _frame: FrameType | None) -> None:
            self._reload = True

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
