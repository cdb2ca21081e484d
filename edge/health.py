"""What a node says of its health: figures of the loop, the outbox, the signals, the camera."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from broker.wire import Status
from edge import __version__
from edge.load import Load
from edge.outbox import Outbox
from edge.signal_listener import Listener
from edge.signals.agreement import Agreement

if TYPE_CHECKING:
    from edge.camera_watch import CameraWatch
    from edge.pipeline import Line
    from edge.sources.host_clock import HostClock
    from edge.sources.live import LiveSource

RATE_OVER_S = 5.0
MOST_GROUPS_TOLD = 64
MOST_RUNS_TOLD = 64
MOST = 1_000_000_000


@dataclass
class Figures:
    """How the loop is doing; read by the publish thread."""

    state: Literal["starting", "running", "degraded", "stopped", "lost"] = "starting"
    detector: str | None = None
    provider: str | None = None
    frames: int = 0
    frame_rate_hz: float | None = None  # over the last stretch that was measured
    _since: tuple[float, int] = field(default_factory=lambda: (time.monotonic(), 0))

    def measure(self) -> None:
        """Take the frame rate anew where the last one is some seconds old."""
        now, (then, frames) = time.monotonic(), self._since
        if now - then >= RATE_OVER_S:
            self.frame_rate_hz = round(min((self.frames - frames) / (now - then), 1000.0), 1)
            self._since = (now, self.frames)


class Health:
    """Builds the status; asked from the publish thread.

    Args:
        figures: kept up to date by the loop.
        source: the camera; None for a recording.
    """

    def __init__(
        self,
        figures: Figures,
        outbox: Outbox,
        agreement: Agreement,
        *,
        site: str,
        node: str,
        mode: str,
        source: LiveSource | None,
        clock: HostClock,
    ) -> None:
        self.figures = figures
        self._source, self._clock = source, clock
        self._outbox, self._agreement = outbox, agreement
        self._site, self._node, self._mode = site, node, mode
        self._load = Load()
        self.watch: CameraWatch | None = None
        self.line: Line | None = None
        self.listener: Listener | None = None

    def status(self, last_seq: int, *, overdue: bool) -> Status:
        """Return the node's word on itself.

        Args:
            last_seq: the last sequence number given.
            overdue: messages have gone without a receipt for minutes.
        """
        level = self._outbox.level()
        self.figures.measure()
        state = self.figures.state
        moved = self.watch is not None and self.watch.state == "moved"
        deaf = self.listener is not None and not self.listener.connected
        blind = self._source is not None and self._source.state != "live"
        adrift = self._source is not None and not math.isfinite(self._clock.sigma_s)
        troubles = (
            overdue,
            level.quarantined,
            level.unstored,
            self._agreement.disagreeing,
            moved,
            deaf,
            blind,
            adrift,
        )
        if state == "running" and any(troubles):
            state = "degraded"
        return Status.model_validate(
            {
                "site": self._site,
                "node": self._node,
                "seq": last_seq,
                "state": state,
                "detector": self.figures.detector,
                "provider": self.figures.provider,
                "frame_rate_hz": self.figures.frame_rate_hz,
                "outbox_rows": level.rows,
                "evicted_clips": level.evicted_clips,
                "evicted_events": level.evicted_events,
                "evicted_counts": level.evicted_counts,
                "unstored": level.unstored,
                "lost_events": level.lost,
                "outbox_repaired": level.repaired,
                "first_seq": self._outbox.first_seq,
                "given_up": self._outbox.given_up(MOST_RUNS_TOLD),
                "quarantined": level.quarantined,
                "clip_mode": self._mode,
                **self._camera(),
                **self._looks(),
                **self._stream(),
                **self._load.figures(),
                "signal_clocks": self._agreement.clocks[:MOST_GROUPS_TOLD],
                "signals_disagree": self._agreement.disagreeing[:MOST_GROUPS_TOLD],
                "signal_feed": None if self.listener is None else ("lost" if deaf else "connected"),
                "signal_delay_s": None if self.listener is None else self.listener.delay_s,
                "software": f"nearmiss {__version__}",
            }
        )

    def _looks(self) -> dict[str, object]:
        """Return how often the detector looks, and which rules that is too seldom for."""
        if self.line is None:
            return {}
        lookout = self.line.lookout
        share = None if lookout is None else lookout.looked_share
        return {
            "looked_share": None if share is None else round(share, 2),
            "rules": tuple(
                {
                    "rule": each.rule,
                    "rate_hz": None if each.rate_hz is None else round(min(each.rate_hz, 1000.0), 1),
                    "floor_hz": each.floor_hz,
                    "suspended": each.suspended,
                }
                for each in self.line.rates.all()
            ),
        }

    def _stream(self) -> dict[str, str | float | None]:
        """Return how the camera's stream is, and how well its times are known."""
        source = self._source
        if source is None:
            return {}
        captured, sigma_s = source.captured, source.time_sigma_s
        return {
            "source": source.state,
            "frames_dropped": min(source.frames_dropped, MOST),
            "frames_lost": min(source.frames_lost, MOST),
            "reconnects": min(source.reconnects, MOST),
            "time_from": captured.kind if captured is not None else None,
            "time_sigma_s": round(min(sigma_s, 10_000.0), 3) if math.isfinite(sigma_s) else None,
            "clock": self._clock.kept,
            "clock_steps": min(self._clock.steps, MOST),
        }

    def _camera(self) -> dict[str, str | float | None]:
        """Return whether the camera moved, rounded to what it is told to."""
        watch = self.watch
        if watch is None:
            return {}
        shift = watch.shift
        known = shift is not None and math.isfinite(shift.px)
        return {
            "camera": watch.state,
            "camera_shift_px": round(min(shift.px, 10_000.0), 1) if shift and known else None,
            "camera_shift_m": round(min(shift.m, 1000.0), 2) if shift and math.isfinite(shift.m) else None,
        }
