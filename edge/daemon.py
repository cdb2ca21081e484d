"""`nearmiss run`: the cameras of one node.toml, begun, begun anew and ended."""

from __future__ import annotations

import logging
import math
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from broker.logs import json_to_stderr
from broker.process import harden
from edge.config import NodeConfig, load_cameras, load_node
from edge.ending import Ending
from edge.errors import InputError
from edge.exclusive import only_user
from edge.node import Node, Outcome
from edge.outbox import Outbox, fresh_numbers
from edge.service import Service
from edge.sources.host_clock import HostClock
from edge.sources.live import LiveSource

if TYPE_CHECKING:
    from edge.opening import Inputs, OpenSource

# Room for the log in which a full disk's deletions are written, and for putting it back into the file.
BALLAST_BYTES = 4 * 2**20

logger = logging.getLogger(__name__)


def run(path: Path, *, camera: str | None = None) -> int:
    """Run the cameras of a node; 0 for a wanted end, 1 where a part of it ended by itself.

    Args:
        camera: the id of the one to run; None: all, a process each where there are several.

    Raises:
        InputError: every mistake in node.toml and in the files it names.
    """
    harden()
    json_to_stderr()
    if camera is None and len(configs := load_cameras(path)) > 1:
        from edge.supervisor import supervise

        return supervise(path, configs)
    return _OneCamera(path, camera).run()


@dataclass(frozen=True)
class _Opened:
    config: NodeConfig
    inputs: Inputs


class _OneCamera:
    """A node of one camera, through every new beginning."""

    def __init__(self, path: Path, camera: str | None) -> None:
        self._path, self._camera = path, camera
        self._cameras = len(load_cameras(path))
        config = load_node(path, camera=camera)
        self._clock = HostClock(sigma_s=config.source.clock_sigma_s)
        self._service = Service()
        self._ending = Ending()
        self._now = self._opened(config)
        self._next: _Opened | None = None

    def run(self) -> int:
        # Between two nodes too a signal must not end the process out of order.
        with self._ending.on_signals(lambda: None):
            while (outcome := self._run_once()) is Outcome.AGAIN:
                if self._next is not None:
                    self._now, self._next = self._next, None
                    logger.info("the new configuration counts from now on")
                else:
                    self._open_again()
        return 1 if outcome is Outcome.FAILED else 0

    def _run_once(self) -> Outcome:
        config, inputs = self._now.config, self._now.inputs
        outbox_path = self._path.parent / config.outbox.path
        stated_s = config.source.clock_sigma_s
        if stated_s is None and inputs.lamps is not None:
            stated_s = 0.0  # the lamps in the picture and the road users have one clock
        self._clock.state_error(stated_s)
        if config.source.url is not None and math.isinf(self._clock.sigma_s):
            logger.warning(
                "nothing keeps this machine's clock (no NTP): what is judged by signal states stays "
                "undecidable; set up chrony, or state source.clock_sigma_s"
            )
        with ExitStack() as stack:
            stack.enter_context(inputs.source)
            stack.enter_context(only_user(outbox_path))
            outbox = stack.enter_context(_outbox_of(outbox_path, config.outbox.quota_mb))
            outbox.claim(inputs.site.id, config.node.id, first_seq=fresh_numbers())
            node = Node(
                config,
                inputs,
                outbox,
                clock=self._clock,
                service=self._service,
                ending=self._ending,
                prepare=lambda: self._prepare(outbox),
            )
            return node.run()

    def _opened(self, config: NodeConfig) -> _Opened:
        return _Opened(config, inputs_of(self._path, config, self._clock, cameras=self._cameras))

    def _open_again(self) -> None:
        """Open everything anew under the same configuration: what was opened has times of another clock."""
        try:
            self._now = self._opened(self._now.config)
        except ValueError as error:
            for problem in getattr(error, "problems", (str(error),)):
                logger.error("goes on with what was opened before: %s", problem)

    def _prepare(self, outbox: Outbox) -> bool:
        """Read the configuration again; False, with every mistake in the log, where the old one stays."""
        try:
            config = load_node(self._path, camera=self._camera)
            problems = _moved(self._path, self._now.config, config, outbox)
            opened = self._opened(config) if not problems else None
        except ValueError as error:
            found = getattr(error, "problems", None)
            if found is None:
                raise  # not a mistake of the user: a defect of ours
            problems, opened = list(found), None
        for problem in problems:
            logger.error("not taken over: %s", problem)
        if opened is None:
            logger.error("the node keeps running as it was configured before")
            return False
        if (site := opened.inputs.site.id) != self._now.inputs.site.id and outbox.level().rows:
            opened.inputs.source.close()
            logger.error("not taken over: messages of %s wait in the outbox", site)
            return False
        self._next = opened
        return True


def _outbox_of(path: Path, quota_mb: int) -> Outbox:
    """Open an outbox.

    Raises:
        InputError: it cannot be.
    """
    try:
        return Outbox(
            path, quota_bytes=quota_mb * 2**20, first_seq=fresh_numbers(), ballast_bytes=BALLAST_BYTES
        )
    except (OSError, sqlite3.Error) as error:
        raise InputError(f"{path}: the outbox cannot be opened: {error}") from error


def _moved(path: Path, old: NodeConfig, new: NodeConfig, outbox: Outbox) -> list[str]:
    """Return what of a new configuration would leave messages behind."""
    waiting = outbox.level().rows
    problems = []
    if new.source.url is None:
        problems.append(f"{path}: source: a recording is analysed from the start: restart the node for that")
    if waiting and new.outbox.path != old.outbox.path:
        problems.append(
            f"{path}: outbox.path: {waiting} messages wait in {old.outbox.path!r}: give it again, or restart "
            "once they are receipted"
        )
    if waiting and new.node.id != old.node.id:
        problems.append(
            f"{path}: node.id: {waiting} messages of {old.node.id} wait in the outbox: give it again, or "
            "restart once they are receipted"
        )
    return problems


def inputs_of(path: Path, config: NodeConfig, clock: HostClock, *, cameras: int = 1) -> Inputs:
    """Open and check everything a node.toml names; a camera is connected to later.

    Args:
        cameras: how many there are on this machine: each detector gets its share of the cores.

    Raises:
        InputError: with the mistakes of all of them.
    """
    from edge.opening import default_threads, opened

    def beside(name: str | None) -> Path | None:
        return None if name is None else path.parent / name

    def camera(image_size: tuple[int, int]) -> OpenSource:
        return LiveSource(config.source.camera(path, image_size), image_size=image_size, clock=clock)

    source = config.source
    return opened(
        path.parent / source.video if source.video is not None else Path(config.node.id),
        site=path.parent / config.node.site,
        signals=beside(config.signals.file),
        model=config.detector.model,
        provider=config.detector.provider,
        threads=config.detector.threads or max(1, default_threads() // cameras),
        out=(path.parent / config.outbox.path).parent,
        start=source.start,
        times=beside(source.times),
        clips=config.clips.mode,
        gate=config.detector.gate,
        crop=config.detector.crop,
        shared=config.detector.shared == "on",
        now=clock.now,
        camera=camera if source.video is None else None,
    )
