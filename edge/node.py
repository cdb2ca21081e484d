"""`nearmiss run`: one node, from its source to the broker, until its recording ends or SIGTERM.

What was found is in the outbox at once, which outlives the process; broker and collector may come and go.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from broker.logs import json_to_stderr
from broker.process import harden
from edge.config import NodeConfig, load_node
from edge.dispatch import Dispatch
from edge.ending import Ending, Stopped
from edge.errors import InputError
from edge.exclusive import only_user
from edge.health import Figures, Health
from edge.outbox import Outbox
from edge.publish import Publisher
from edge.rules.finding import Finding
from edge.signal_listener import Listener
from edge.signals.agreement import Agreement

if TYPE_CHECKING:
    from edge.opening import Inputs
    from edge.pipeline import Due, Line, Moment
    from edge.redact import Redactor
    from edge.rules.engine import Engine

logger = logging.getLogger(__name__)

QUARTER_S = 900.0
PLATE_EVERY_S = 86_400.0
# Findings a consequence may still name; causes lie seconds back.
FINDINGS_KEPT = 1000


def run(path: Path) -> int:
    """Run a node; 0 for a wanted end, 1 where a part of it ended by itself.

    Raises:
        InputError: every mistake in node.toml and in the files it names.
    """
    harden()
    json_to_stderr()
    config = load_node(path)
    if config.source.url is not None:
        raise InputError(f"{path}: source.url: cameras are not built yet; give source.video, a recording")
    inputs = _inputs(path, config)
    outbox_path = path.parent / config.outbox.path
    with ExitStack() as stack:
        stack.enter_context(inputs.source)
        stack.enter_context(only_user(outbox_path))
        outbox = stack.enter_context(Outbox(outbox_path, quota_bytes=config.outbox.quota_mb * 2**20))
        return Node(config, inputs, outbox).run()


def _inputs(path: Path, config: NodeConfig) -> Inputs:
    from edge.opening import opened

    def beside(name: str | None) -> Path | None:
        return None if name is None else path.parent / name

    assert config.source.video is not None
    return opened(
        path.parent / config.source.video,
        site=path.parent / config.node.site,
        signals=beside(config.signals.file),
        model=config.detector.model,
        provider=config.detector.provider,
        threads=config.detector.threads,
        out=(path.parent / config.outbox.path).parent,
        start=config.source.start,
        times=beside(config.source.times),
        clips=config.clips.mode,
        now=time.time,
    )


class Node:
    """One source, its line, and the thread that publishes."""

    def __init__(self, config: NodeConfig, inputs: Inputs, outbox: Outbox) -> None:
        self._inputs, self._outbox = inputs, outbox
        self._site, self._id = inputs.site.id, config.node.id
        self._mode = config.clips.mode
        self._agreement = Agreement(inputs.checked, sorted(inputs.site.signal_groups))
        self._figures = Figures(detector=inputs.detector.name, provider=inputs.detector.provider)
        self._health = Health(
            self._figures, outbox, self._agreement, site=self._site, node=self._id, mode=self._mode
        )
        self._dispatch = Dispatch(
            outbox,
            site=self._site,
            node=self._id,
            time_bin_s=inputs.site.thresholds.time_bin_s,
        )
        self._publisher = Publisher(
            outbox,
            site=self._site,
            node=self._id,
            host=config.broker.host,
            port=config.broker.port,
            tls=config.broker.tls_files,
            health=lambda last_seq: self._health.status(last_seq, overdue=self._publisher.overdue),
        )
        self._listener: Listener | None = None
        if inputs.feed is not None:
            self._listener = Listener(
                inputs.feed,
                config.signals.broker or config.broker,
                client_id=f"nearmiss-{self._site}-{self._id}-signals",
            )
        self._health.listener = self._listener
        self._given: dict[int, tuple[Finding, int]] = {}
        self._number = 0
        self._ending = Ending()
        self._quarter = -1.0
        self._plate_due = 0.0

    def run(self) -> int:
        """Run until the recording has ended and all is receipted, or until SIGTERM."""
        line, redactor, engine = self._line()
        self._health.watch = line.watch
        self._publisher.start()
        if self._listener is not None:
            self._listener.start()
        code = 0
        with self._ending.on_signals(line.stop):
            try:
                code = self._watch_street(line, redactor, engine)
                self._finish(line, engine)
                if not self._ending.wanted:
                    code = max(code, self._wait_for_receipts())
            except Stopped:
                logger.warning("the source did not end in time; what was found until then is kept")
                self._finish(line, engine)
        self._figures.state = "stopped"
        self._publisher.close()
        if self._listener is not None:
            self._listener.close()
        level = self._outbox.level()
        logger.info("stopped; %d messages wait for their receipt", level.rows)
        return code

    def _line(self) -> tuple[Line, Redactor, Engine]:
        from edge.analyze import line_of

        # People get their numbers in a clip from the system's chance: a seed would let them be undone.
        return line_of(self._inputs, rng=secrets.SystemRandom())

    def _watch_street(self, line: Line, redactor: Redactor, engine: Engine) -> int:
        from edge.pipeline import DetectorFailedError

        moments = iter(line)
        try:
            while (moment := self._next(moments)) is not None:
                self._figures.state = "running"
                self._figures.frames += 1
                if self._mode != "none" and moment.time >= self._plate_due:
                    self._plate_due = moment.time + PLATE_EVERY_S
                    self._dispatch.plate(redactor.plate(self._inputs.site))
                self._put(moment.due)
                self._count(moment.time, engine)
                self._agreement.note(moment.time)
                if not self._publisher.alive:
                    logger.error("the publish thread ended: %s", self._publisher.error)
                    return 1
                if self._listener is not None and not self._listener.alive:
                    logger.error("the thread of the signal feed ended: %s", self._listener.error)
                    return 1
        except DetectorFailedError as error:
            logger.error("%s", error)
            return 1
        for gap in line.gaps:
            logger.warning("not seen: %.1f s to %.1f s: %s", gap.start, gap.end, gap.reason)
        return 0

    def _next(self, moments: Iterator[Moment]) -> Moment | None:
        with self._ending.waiting():
            return next(moments, None)

    def _finish(self, line: Line, engine: Engine) -> None:
        self._put(line.finish())
        self._dispatch.counts(engine.exposures())

    def _put(self, due: list[Due] | tuple[Due, ...]) -> None:
        from edge.events import local_event

        for finding, clip in due:
            self._number += 1
            cause = self._given.get(id(finding.caused_by)) if finding.caused_by is not None else None
            event = local_event(
                self._number,
                finding,
                site=self._site,
                node=self._id,
                detector=self._inputs.detector.name,
                clip=None,  # the outbox names it, once the clip names its plate
                caused_by=cause[1] if cause is not None else None,
            )
            self._given[id(finding)] = (finding, self._number)
            while len(self._given) > FINDINGS_KEPT:
                del self._given[next(iter(self._given))]
            self._dispatch.event(event, clip)

    def _count(self, now: float, engine: Engine) -> None:
        quarter = now // QUARTER_S
        if quarter != self._quarter:
            if self._quarter >= 0:
                self._dispatch.counts(engine.exposures())
            self._quarter = quarter

    def _wait_for_receipts(self) -> int:
        """Stay until all has been receipted: events of a bin leave up to a minute after it."""
        waiting = self._outbox.level().rows
        logger.info("the recording has ended; %d messages wait for their receipt", waiting)
        while not self._ending.wanted and self._outbox.level().rows:
            if not self._publisher.alive:
                logger.error("the publish thread ended: %s", self._publisher.error)
                return 1
            time.sleep(0.1)
        return 0
