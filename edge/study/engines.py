"""Who does the work: processes of this machine, or a Ray cluster. Both run one segment a process.

A worker that crashes, or a decoder that takes it along, is one segment that is tried again: nothing else is
touched by it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from edge.errors import InputError
from edge.study.work import Task

ENGINES = ("local", "ray")
LONGEST_PROBLEM = 500


@dataclass(frozen=True, slots=True)
class Done:
    """How a segment ended; ``crashed``: its process was ended by something else than its inputs."""

    key: str
    problem: str | None
    crashed: bool = False


class Stopped(Exception):
    """The study was stopped by hand."""


def worker(key: str, text: str, *, begun: Callable[[subprocess.Popen[str]], None] | None = None) -> Done:
    """Run one task in a process of its own and return how it ended."""
    from broker.embedded import ends_with_parent

    process = subprocess.Popen(
        [sys.executable, "-m", "edge.study.work"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C goes to the study alone, which ends its workers
        preexec_fn=ends_with_parent(),
    )
    if begun is not None:
        begun(process)
    _, said = process.communicate(text)
    lines = [line for line in said.strip().splitlines() if line]
    if process.returncode == 0:
        return Done(key, None)
    if process.returncode == 2:
        return Done(key, "; ".join(lines)[:LONGEST_PROBLEM])
    last = lines[-1] if lines else "it said nothing"
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit {process.returncode}"
    return Done(key, f"the worker ended unexpectedly ({how}): {last}"[:LONGEST_PROBLEM], crashed=True)


class Local:
    """So many processes of this machine at a time."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="segment")
        self._running: set[subprocess.Popen[str]] = set()
        self._lock, self._stopped = threading.Lock(), False

    def submit(self, key: str, task: Task) -> Future[Done]:
        return self._threads.submit(self._run, key, task.encode())

    def next(self, waiting: set[Future[Done]]) -> Done:
        """Wait for one of them to end, and take it out."""
        finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
        one = finished.pop()
        waiting.discard(one)
        return one.result()

    def close(self) -> None:
        """End the workers; what they were at is made again next time."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()
        self._threads.shutdown(cancel_futures=True)

    def _run(self, key: str, text: str) -> Done:
        processes: list[subprocess.Popen[str]] = []

        def begun(process: subprocess.Popen[str]) -> None:
            processes.append(process)
            with self._lock:
                self._running.add(process)
                if self._stopped:
                    process.terminate()

        try:
            return worker(key, text, begun=begun)
        finally:
            with self._lock:
                self._running.difference_update(processes)


class Ray:
    """A Ray cluster: one at an address, or one of this machine alone that ends with the study.

    Inputs and results lie on storage that every host sees under the same path.
    """

    def __init__(self, workers: int, *, address: str | None) -> None:
        # Before the import: Ray reports usage unless told not to.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if address is None:
            # Ray listens on all interfaces whatever address it is given, except where clusters are off:
            # then its own address is loopback, and everything of it listens there alone.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise InputError("--engine ray: pip install 'nearmiss[batch]' brings Ray") from error
        self._ray = ray
        self.workers = workers
        if address is None:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        else:
            try:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise InputError(f"--address {address}: {str(error).splitlines()[0]}") from error
            self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote = ray.remote(num_cpus=1, max_retries=0)(worker)

    def submit(self, key: str, task: Task) -> Any:
        return self._remote.remote(key, task.encode())

    def next(self, waiting: set[Any]) -> Done:
        """Wait for one of them to end, and take it out."""
        finished, _ = self._ray.wait(list(waiting), num_returns=1)
        waiting.discard(finished[0])
        done: Done = self._ray.get(finished[0])
        return done

    def close(self) -> None:
        self._ray.shutdown()


def engine_of(name: str, *, workers: int, address: str | None) -> Local | Ray:
    """Return an engine.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """
    return Ray(workers, address=address) if name == "ray" else Local(workers)


def ended(engine: Local | Ray, tasks: Iterator[tuple[str, Task]]) -> Iterator[tuple[str, Done | None]]:
    """Yield (key, None) as a task is handed to a worker and (key, Done) as it ends.

    Two tasks a worker are handed out at a time, so that none waits for its next.
    """
    waiting: set[Any] = set()
    more = True
    while more or waiting:
        while more and len(waiting) < 2 * engine.workers:
            following = next(tasks, None)
            if following is None:
                more = False
                break
            waiting.add(engine.submit(*following))
            yield following[0], None
        if waiting:
            done = engine.next(waiting)
            yield done.key, done
