"""When a camera captured a frame, from what comes with it: never from its arrival alone.

A frame arrives late by the time its exposure, encoder, network and decoder took, and each by another
amount. Known about it are, by camera:

* ``rtcp``: the camera's own UTC, which its RTCP sender reports tie to the timestamps of its frames. Believed
  where it agrees with the host's clock, else left aside: many cameras have a clock that nobody set.
* ``driver``: a USB camera's frames carry the kernel's instant of their capture.
* ``timestamps``: an even clock of unknown zero. The frame that came quickest tells the zero, but for the
  latency no frame can beat, which the operator states (or the usual one is assumed, with its error).
* ``cadence``: HTTP MJPEG has no timestamps. A camera captures evenly, so an even clock is fitted to the
  arrivals and taken for timestamps; what arrivals scatter about it goes into the error.

All instants are of the monotonic clock; ``HostClock`` makes UTC of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["rtcp", "driver", "timestamps", "cadence"]

# From light to arrival an IP camera takes 0.1 to 0.5 s, mostly its encoder: docs/node.md, how to measure it.
USUAL_LATENCY_S = 0.25
USUAL_LATENCY_SIGMA_S = 0.15
# A USB camera's kernel stamps the end of the readout.
DRIVER_SIGMA_S = 0.02
# RTCP maps a timestamp to UTC when the report is sent, not when the shutter opens.
RTCP_SIGMA_S = 0.02
# A camera whose UTC is further from the host's than this was not set, or the host was not.
MOST_APART_S = 2.0
# The camera's clock may run off the host's by this share: two quartzes at twice their usual 50 ppm each.
DRIFT = 200e-6
# How fast a better zero is taken over: a speed measured meanwhile is wrong by this share.
SLEW = 0.02
# A timestamp that is earlier than the one before by more than this begins a clock of another zero.
BACK_S = 0.5


@dataclass(frozen=True, slots=True)
class Captured:
    """An instant of the monotonic clock with its 1-sigma error, and what it was told from."""

    at_s: float
    sigma_s: float
    kind: Kind


class CaptureTimes:
    """Capture times of the frames of one connection.

    Args:
        latency_s: from light to arrival at the least, where only arrivals tell; with its 1-sigma error.
    """

    def __init__(
        self, *, latency_s: float = USUAL_LATENCY_S, latency_sigma_s: float = USUAL_LATENCY_SIGMA_S
    ) -> None:
        self._latency_s, self._latency_sigma_s = latency_s, latency_sigma_s
        self._quickest_s = math.inf  # the least arrival less timestamp
        self._zero_s: float | None = None  # what is added to a timestamp, as it stands now
        self._last_arrival_s = math.nan
        self._last_pts_s: float | None = None  # of a frame with a timestamp
        self._ahead_s = 0.0  # by how much the camera's UTC is ahead of what arrivals allow
        self._cadence = Cadence()

    def of(
        self,
        *,
        arrived_s: float,
        pts_s: float | None,
        ntp_s: float | None = None,
        from_driver: bool = False,
    ) -> Captured | None:
        """Return when a frame was captured; None where that is not known: it has no timestamp, others have.

        Args:
            arrived_s: monotonic instant its last byte came.
            pts_s: its timestamp, a clock of unknown zero; None where it has none.
            ntp_s: the camera's UTC of its capture, as an instant of the monotonic clock; None where unknown.
            from_driver: the timestamp is the kernel's, of the monotonic clock.
        """
        if from_driver and pts_s is not None and 0 <= arrived_s - pts_s < MOST_APART_S:
            return Captured(pts_s, DRIVER_SIGMA_S, "driver")
        scatter_s = 0.0
        kind: Kind = "timestamps"
        if pts_s is None:
            if self._last_pts_s is not None:
                return None
            pts_s, kind = self._cadence.instant(arrived_s), "cadence"
            scatter_s = self._cadence.scatter_s
        else:
            if self._is_another_clock(arrived_s, pts_s):
                self._quickest_s, self._zero_s = math.inf, None
            self._last_pts_s = pts_s
        passed = 0.0 if math.isnan(self._last_arrival_s) else max(arrived_s - self._last_arrival_s, 0.0)
        self._last_arrival_s = arrived_s
        self._quickest_s = min(arrived_s - pts_s, self._quickest_s + DRIFT * passed)
        wanted_s, sigma_s = self._quickest_s - self._latency_s, math.hypot(self._latency_sigma_s, scatter_s)
        if ntp_s is not None:
            # Nothing arrives before it was captured: a camera ahead of that is ahead by at least as much.
            late_s = self._quickest_s - (ntp_s - pts_s)
            if abs(late_s) < MOST_APART_S:
                doubt_s = max(-late_s, late_s - 2 * USUAL_LATENCY_S, 0.0)
                wanted_s, sigma_s, kind = ntp_s - pts_s, math.hypot(RTCP_SIGMA_S, doubt_s), "rtcp"
        if self._zero_s is None:
            self._zero_s = wanted_s
        else:
            most = SLEW * passed
            self._zero_s += min(max(wanted_s - self._zero_s, -most), most)
        return Captured(pts_s + self._zero_s, math.hypot(sigma_s, wanted_s - self._zero_s), kind)

    def _is_another_clock(self, arrived_s: float, pts_s: float) -> bool:
        """Return whether a timestamp does not go on where those before it left off.

        A stream may begin with frames that have none (FFmpeg's, before it knows the first RTP timestamp),
        and a camera may set its clock in the middle. A frame that is only late goes on where they were.
        """
        if self._last_pts_s is None:
            return True  # what went before was the cadence's
        return pts_s < self._last_pts_s - BACK_S or arrived_s - pts_s < self._quickest_s - MOST_APART_S


class Cadence:
    """The even clock of a camera without timestamps, fitted to its arrivals: a phase-locked loop.

    Source: the usual second-order loop; its gains damp scatter by about ten and follow a new rate in seconds.
    """

    PHASE, PERIOD = 0.1, 0.005
    FIRST = 20  # frames that a line is fitted to

    def __init__(self) -> None:
        self._begun: list[float] | None = []
        self._instant_s = 0.0
        self._period_s = 0.0
        self._variance = 0.0

    @property
    def scatter_s(self) -> float:
        """1-sigma scatter of arrivals about the cadence; unknown (``inf``) before there is one."""
        return math.sqrt(self._variance) if self._begun is None else math.inf

    def instant(self, arrived_s: float) -> float:
        """Return the even instant that belongs to an arrival; later than the one before."""
        if self._begun is not None:
            self._begun.append(arrived_s)
            if len(self._begun) >= self.FIRST:
                self._fit(self._begun)
                self._begun = None
            return arrived_s
        passed = (arrived_s - self._instant_s) / self._period_s
        # Late by less than this is late; by more, a frame is missing in between.
        steps = 1 if passed < 1.75 else round(passed)
        expected_s = self._instant_s + steps * self._period_s
        off_s = arrived_s - expected_s
        self._variance += 0.05 * (off_s**2 - self._variance)
        # However early a frame came, the clock goes forward.
        self._instant_s = max(expected_s + self.PHASE * off_s, self._instant_s + 0.1 * self._period_s)
        self._period_s = max(self._period_s + self.PERIOD * off_s / steps, 1e-3)
        return self._instant_s

    def _fit(self, arrivals: list[float]) -> None:
        count = len(arrivals)
        middle, mean_s = (count - 1) / 2, sum(arrivals) / count
        weight = sum((n - middle) ** 2 for n in range(count))
        slope = sum((n - middle) * (each - mean_s) for n, each in enumerate(arrivals)) / weight
        self._period_s = max(slope, 1e-3)
        line = [mean_s + (n - middle) * slope for n in range(count)]
        self._instant_s = line[-1]
        self._variance = sum((each - on) ** 2 for each, on in zip(arrivals, line, strict=True)) / count
