"""One camera's node, from its source to the broker, until its recording ends, SIGTERM, or a new beginning.

What was found is in the outbox at once, which outlives the process; broker and collector may come and go.
"""

from __future__ import annotations

import enum
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edge.config import NodeConfig
from edge.dispatch import Dispatch
from edge.ending import Ending, Stopped
from edge.health import Figures, Health
from edge.home_assistant import announcement
from edge.outbox import Outbox
from edge.plate_offer import PlateOffer
from edge.publish import Publisher
from edge.service import Service
from edge.signal_listener import Listener
from edge.signals.agreement import Agreement
from edge.sources.host_clock import HostClock
from edge.sources.live import LiveSource
from edge.telling import Telling

if TYPE_CHECKING:
    from edge.opening import Inputs
    from edge.pipeline import Line, Moment
    from edge.redact import Redactor
    from edge.rules.engine import Engine

logger = logging.getLogger(__name__)

# Without frames for so long, findings that wait for the seconds after them are told without.
OUTAGE_S = 15.0
# A node has a few messages a minute; what piled up in a day without a broker leaves in minutes.
DRAIN_HZ = 50.0
# The publish thread turns many times a second; where it has not for so long, it hangs.
PUBLISH_HANGS_S = 30.0


class Outcome(enum.Enum):
    """How a node's run ended."""

    DONE = enum.auto()  # its recording has ended, or SIGTERM
    FAILED = enum.auto()  # a part of it ended by itself
    AGAIN = enum.auto()  # to be begun anew: with a new configuration, or because the host's clock was set


class Node:
    """One source, its line, and the thread that publishes.

    Args:
        prepare: called at SIGHUP; returns whether a new configuration is ready to take over.
    """

    def __init__(
        self,
        config: NodeConfig,
        inputs: Inputs,
        outbox: Outbox,
        *,
        clock: HostClock | None = None,
        service: Service | None = None,
        ending: Ending | None = None,
        prepare: Callable[[], bool] = lambda: False,
    ) -> None:
        self._inputs, self._outbox = inputs, outbox
        self._clock, self._service, self._prepare = clock or HostClock(), service or Service(), prepare
        self._mode = config.clips.mode
        site, node = inputs.site.id, config.node.id
        self._source = inputs.source if isinstance(inputs.source, LiveSource) else None
        agreement = Agreement(inputs.checked, sorted(inputs.site.signal_groups))
        self._agreement = agreement
        self._figures = Figures(detector=inputs.detector.name, provider=inputs.detector.provider)
        self._health = Health(
            self._figures,
            outbox,
            agreement,
            site=site,
            node=node,
            mode=self._mode,
            source=self._source,
            clock=self._clock,
        )
        self._dispatch = Dispatch(
            outbox,
            site=site,
            node=node,
            time_bin_s=inputs.site.thresholds.time_bin_s,
            clock=self._clock.now,
        )
        self._telling = Telling(self._dispatch, site=site, node=node, detector=inputs.detector.name)
        home = config.home_assistant
        self._publisher = Publisher(
            outbox,
            site=site,
            node=node,
            host=config.broker.host,
            port=config.broker.port,
            tls=config.broker.tls_files,
            health=lambda last_seq: self._health.status(last_seq, overdue=self._publisher.overdue),
            clock=self._clock.now,
            most_hz=DRAIN_HZ,
            announcement=announcement(site, node, prefix=home.prefix) if home.discovery else None,
        )
        self._listener: Listener | None = None
        if inputs.feed is not None:
            self._listener = Listener(
                inputs.feed,
                config.signals.broker or config.broker,
                client_id=f"nearmiss-{site}-{node}-signals",
            )
        self._health.listener = self._listener
        self._ending = ending or Ending()
        self._again = False
        self._failed = False
        self._offer = PlateOffer(self._mode)
        self._source_was = "connecting"
        self._frame_s = time.monotonic()

    def run(self) -> Outcome:
        """Run until the recording has ended and all is receipted, until SIGTERM, or until a new beginning."""
        line, redactor, engine = self._line()
        self._health.watch, self._health.line = line.watch, line
        self._publisher.start()
        if self._listener is not None:
            self._listener.start()
        if self._source is not None:
            self._source.idle = lambda: self._idle(line, engine)

        def stop() -> None:
            line.stop()
            if self._source is not None:
                self._source.stop()

        with self._ending.on_signals(stop):
            if self._ending.wanted:
                stop()
            self._service.ready()
            try:
                self._watch_street(line, redactor, engine)
                self._finish(line, engine)
                if self._source is None and not (self._ending.wanted or self._again or self._failed):
                    self._wait_for_receipts()
            except Stopped:
                logger.warning("the source did not end in time; what was found until then is kept")
                self._finish(line, engine)
            return self._close()

    def _close(self) -> Outcome:
        set_back = self._source is not None and self._source.clock_was_set
        again = (self._again or set_back) and not (self._ending.wanted or self._failed)
        self._figures.state = "starting" if again else "stopped"
        if again:
            self._service.reloading()
        else:
            self._service.stopping()
        self._publisher.close()
        if self._listener is not None:
            self._listener.close()
        if again:
            return Outcome.AGAIN
        level = self._outbox.level()
        logger.info("stopped; %d messages wait for their receipt", level.rows)
        return Outcome.FAILED if self._failed else Outcome.DONE

    def _line(self) -> tuple[Line, Redactor, Engine]:
        from edge.analyze import line_of
        from edge.plate import SITE_WINDOW_S

        # People get their numbers in a clip from the system's chance: a seed would let them be undone.
        return line_of(self._inputs, rng=secrets.SystemRandom(), plate_window_s=SITE_WINDOW_S)

    def _watch_street(self, line: Line, redactor: Redactor, engine: Engine) -> None:
        from edge.pipeline import DetectorFailedError

        moments = iter(line)
        try:
            while (moment := self._next(moments)) is not None:
                self._figures.state = "running"
                self._figures.frames += 1
                self._frame_s = time.monotonic()
                plate = self._offer.take(moment.time, lambda: redactor.plate(self._inputs.site))
                if plate is not None:
                    self._dispatch.plate(plate)
                self._telling.events(moment.due)
                self._telling.counts(moment.time, engine)
                self._agreement.note(moment.time)
                if not self._goes_on(line):
                    return
        except DetectorFailedError as error:
            logger.error("%s", error)
            self._failed = True
        if self._source is None:
            for gap in line.gaps:
                logger.warning("not seen: %.1f s to %.1f s: %s", gap.start, gap.end, gap.reason)

    def _next(self, moments: Iterator[Moment]) -> Moment | None:
        with self._ending.waiting():
            return next(moments, None)

    def _idle(self, line: Line, engine: Engine) -> None:
        """Called by a camera's source while no frame comes."""
        with self._ending.waiting(False):
            if time.monotonic() - self._frame_s > OUTAGE_S:
                self._telling.events(line.held())
                self._telling.counts(self._clock.now(), engine)
            if not self._goes_on(line) and self._source is not None:
                self._source.stop()

    def _goes_on(self, line: Line) -> bool:
        """Look after everything beside the frames; False where the line is to end."""
        if not self._publisher.alive:
            logger.error("the publish thread ended: %s", self._publisher.error)
            self._failed = True
        elif self._listener is not None and not self._listener.alive:
            logger.error("the thread of the signal feed ended: %s", self._listener.error)
            self._failed = True
        elif self._publisher.still_s < PUBLISH_HANGS_S:
            self._service.beat()
        if self._source is None:
            self._clock.look()
        elif self._source.state != self._source_was:
            self._source_was = self._source.state
            self._publisher.tell_now()
        if self._ending.reload_wanted:
            self._ending.reload_wanted = False
            self._reload()
        if self._failed or self._again:
            line.stop()
            return False
        return True

    def _reload(self) -> None:
        if self._source is None:
            logger.warning("a recording is under way: a new configuration counts from the next start")
            return
        self._service.reloading()
        self._again = self._prepare()
        if not self._again:
            self._service.ready()

    def _finish(self, line: Line, engine: Engine) -> None:
        self._telling.events(line.finish())
        self._dispatch.counts(engine.exposures())

    def _wait_for_receipts(self) -> None:
        """Stay until all has been receipted: events of a bin leave up to a minute after it."""
        waiting = self._outbox.level().rows
        logger.info("the recording has ended; %d messages wait for their receipt", waiting)
        while not self._ending.wanted and self._outbox.level().rows:
            if not self._publisher.alive:
                logger.error("the publish thread ended: %s", self._publisher.error)
                self._failed = True
                return
            self._service.beat()
            time.sleep(0.1)
