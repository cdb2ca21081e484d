"""A daemon as a child of a test, and what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Running:
    """`nearmiss run` as a child, or what stands in for it; its log lines are gathered as they come."""

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str] | None = None,
        *,
        program: Sequence[str] = ("-m", "edge", "run"),
        more: Sequence[str] = (),
    ) -> None:
        self.lines: list[str] = []
        self.child = subprocess.Popen(
            [sys.executable, *program, str(path), *more],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stderr is not None
        self.lines += self.child.stderr  # grows while it is read

    @property
    def said(self) -> list[str]:
        return [json.loads(line)["event"] if line.startswith("{") else line for line in self.lines]

    def until(self, reached: Callable[[], bool], *, what: str, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}\n" + "".join(self.lines)
            assert self.child.poll() is None, f"it ended: {what}\n" + "".join(self.lines)
            time.sleep(0.05)

    def until_said(self, words: str, *, times: int = 1) -> None:
        self.until(lambda: sum(words in line for line in self.said) >= times, what=words)

    def end(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        code = self.child.wait(20)
        assert time.monotonic() - begun < 15, "far more than 5 s"
        return code

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self._reader.join(10)
        assert self.child.stderr is not None
        self.child.stderr.close()
