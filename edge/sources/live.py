"""A camera as a source of frames: it comes back by itself, and nothing of it waits in a queue.

Its stream is decoded in a process of its own, which is killed and started anew whenever it ends, falls
silent, repeats one picture or changes its size. A live stream has no end: every end is a fault.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from edge.frame import Frame, Gap
from edge.sources.camera import Camera
from edge.sources.capture import Captured, CaptureTimes
from edge.sources.host_clock import HostClock
from edge.sources.process import ChildDecoder, DecoderDiedError

logger = logging.getLogger(__name__)

DECODER = Path(__file__).with_name("live_decoder.py")
# Longer than a camera takes to answer, describe its stream and send a key frame.
OPENING_S = 12.0
# No picture for so long is a fault: a camera of one frame a second is the slowest that is taken.
SILENT_S = 5.0
# What a camera has in store at the start comes in one gulp, which tells nothing of when it was captured.
SETTLING_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
# A connection that held so long was a good one: the next pause is short again.
GOOD_S = 20.0
# How often a wait looks about: whether it is to end, whether the host's clock was set.
GLANCE_S = 0.25
GAPS_KEPT = 100
UNKNOWN_RATE_HZ = 15.0

State = Literal["connecting", "live", "lost", "frozen", "other_size"]


class LiveSource:
    """The frames of a camera, newest first in mind: what comes too fast is dropped and counted.

    Iterate it once. The iteration ends when ``stop`` was called, and where the host's clock was set or the
    camera's times do not go on: times leap then, and whatever measures differences of times begins anew
    (``clock_was_set``). It may be iterated again after that, and goes on with the connection it has.

    Args:
        image_size: of the site's ground plane; a camera of another size gives no frame.
        idle: called a few times a second while no frame comes, in the iterating thread.

    Attributes:
        state: how the camera is.
        frames_dropped: how many frames were let go because later ones were there already.
        frames_lost: how many could not be decoded.
        reconnects: how often the connection was made anew.
        captured: how the last frame's time is known.
        rate_hz: what the operator or the camera says of its rate, for estimates alone.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        image_size: tuple[int, int],
        clock: HostClock,
        idle: Callable[[], None] = lambda: None,
        rng: random.Random | None = None,
    ) -> None:
        self._camera, self.clock, self.idle = camera, clock, idle
        self.image_size = image_size
        self.rate_hz: float | None = camera.frame_rate_hz
        self.start_time = clock.now()
        self.time_sigma_s = clock.sigma_s
        self.state: State = "connecting"
        self.reason = ""
        self.frames_read = self.frames_dropped = self.frames_lost = self.reconnects = 0
        self.captured: Captured | None = None
        self.clock_was_set = False
        self.process: ChildDecoder | None = None
        self._pauses = _Pauses(rng or random.Random())
        self._times = CaptureTimes()
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT)
        self._stopped = False
        self._last = float("-inf")
        self._since = clock.monotonic()  # of the state
        self._opened_s = 0.0
        self._before = (0, 0)  # dropped and lost, in connections before this one
        self._refused_since: float | None = None  # arrival of the first of the frames left out in a row
        self._said = ""

    @property
    def path(self) -> Path:
        """What messages call it: never its address."""
        return Path("the camera")

    @property
    def expected_frames(self) -> None:
        """A camera has no end."""
        return None

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The last ``GAPS_KEPT`` stretches without frames."""
        return tuple(self._gaps)

    @property
    def times_from(self) -> str:
        """Where the frames' times come from, in words."""
        return "the camera" if self.captured is None else self.captured.kind

    def stop(self) -> None:
        """End the iteration at the next glance; may be called from a signal handler."""
        self._stopped = True

    def __iter__(self) -> Iterator[Frame]:
        self.clock_was_set = False
        self._last = float("-inf")
        while not self._stopped:
            if self.process is None and not self._opened():
                continue
            frame = self._next()
            if self.clock_was_set:
                return
            if frame is not None:
                yield frame
                del frame

    def close(self) -> None:
        """End the decoder; may be called twice and at any time."""
        self._stopped = True
        self._drop()

    def __enter__(self) -> Self:
        self._stopped = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> bool:
        """Connect; False where that failed, after a pause."""
        self.process = ChildDecoder(DECODER, [], slots=1, timeout_s=OPENING_S)
        self.process.tell(json.dumps(self._camera.asked()).encode() + b"\n")
        record = self._record(OPENING_S)
        if record is None or "opened" not in record:
            if not self._stopped and not self.clock_was_set:
                self._fault("lost", "it does not answer" if record is None else str(record["end"]))
            return False
        size = (record["size"][0], record["size"][1])
        if size != self.image_size:
            self._fault(
                "other_size",
                f"its image is {size[0]}×{size[1]}, and the site's ground plane is of "
                f"{self.image_size[0]}×{self.image_size[1]}: no metres, so nothing is judged",
            )
            return False
        self.rate_hz = self._camera.frame_rate_hz or record["rate_hz"] or self.rate_hz
        self.process.map_images(size)
        self._times = CaptureTimes(
            latency_s=self._camera.latency_s, latency_sigma_s=self._camera.latency_sigma_s
        )
        self._opened_s = self.clock.monotonic()
        return True

    def _next(self) -> Frame | None:
        """Ask for a frame and return it; None where it cannot be used, or where there is none."""
        assert self.process is not None
        self.process.free(0)
        record = self._record(SILENT_S)
        if self._stopped or self.clock_was_set:
            return None
        if record is None or "slot" not in record:
            reason = f"no picture for {SILENT_S:g} s" if record is None else str(record["end"])
            self._fault("lost" if record is None else record.get("state", "lost"), reason)
            return None
        self.frames_dropped = self._before[0] + record["dropped"]
        self.frames_lost = self._before[1] + record["lost"]
        captured = self._captured(record)
        if record["arrived_s"] - self._opened_s < SETTLING_S:
            return None
        time_s = -math.inf if captured is None else self.clock.at(captured.at_s)
        if captured is None or time_s <= self._last:
            self._refuse(record["arrived_s"])
            return None
        self._refused_since = None
        self._is_live(time_s)
        self._last, self.captured = time_s, captured
        self.time_sigma_s = (captured.sigma_s**2 + self.clock.sigma_s**2) ** 0.5
        self.frames_read += 1
        slot = record["slot"]
        image, grey = self.process.image(slot), self.process.grey(slot)
        return Frame(self.frames_read - 1, time_s, self.time_sigma_s, image, grey)

    def _refuse(self, arrived_s: float) -> None:
        """Leave out a frame whose time is unknown or not after the last one's; not for long."""
        self.frames_lost += 1
        self._before = (self._before[0], self._before[1] + 1)
        if self._refused_since is None:
            self._refused_since = arrived_s
        elif arrived_s - self._refused_since > SILENT_S:
            # The last frame's time was wrong, or these are: nobody can tell, and a street goes on meanwhile.
            logger.error("the camera's times do not go on where they were: they begin anew")
            self._refused_since = None
            self._drop()
            self.clock_was_set = True

    def _captured(self, record: dict[str, Any]) -> Captured | None:
        ntp_s = record["ntp_s"]
        return self._times.of(
            arrived_s=record["arrived_s"],
            pts_s=record["pts_s"],
            ntp_s=None if ntp_s is None else ntp_s - self.clock.at(0.0),
            from_driver=self._camera.kind == "usb",
        )

    def _record(self, patience_s: float) -> dict[str, Any] | None:
        """Wait for the decoder's next record, looking about meanwhile; None where none came in time."""
        assert self.process is not None
        deadline = time.monotonic() + patience_s
        while not self._stopped:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                record = self.process.poll(min(left, GLANCE_S))
            except DecoderDiedError as error:
                return {"end": str(error)}
            self._look()
            if record is not None or self.clock_was_set:
                return record
            self.idle()
        return None

    def _look(self) -> None:
        """See whether somebody set the host's clock."""
        was = self.clock.set_by_s
        if self.clock.look():
            self.clock_was_set = True
            logger.warning("the host's clock was set and stays so: times begin anew")
        elif was is None and self.clock.set_by_s is not None:
            logger.warning(
                "the host's clock was set by %.1f s: times are unknown until it is clear that it stays so",
                self.clock.set_by_s,
            )

    def _is_live(self, time_s: float) -> None:
        if self.state == "live":
            return
        if self.frames_read:
            self._gaps.append(Gap(min(self._gap_from, time_s), time_s, self.reason))
            logger.info("the camera is back after %.1f s", self.clock.monotonic() - self._since)
        else:
            logger.info("the camera is live")
        self.state, self.reason, self._said = "live", "", ""

    @property
    def _gap_from(self) -> float:
        return self._last if self._last > float("-inf") else self.clock.at(self._since)

    def _fault(self, state: State, reason: str) -> None:
        """Leave this connection and wait for the next one."""
        if self.state == "live":
            self._since = self.clock.monotonic()
        if self._said != reason:
            self._said = reason
            logger.warning("the camera is lost: %s; trying again", reason)
        if self._opened_s and self.clock.monotonic() - self._opened_s > GOOD_S:
            self._pauses.begin_anew()
        self.state, self.reason = state, reason
        self._before = (self.frames_dropped, self.frames_lost)
        self._opened_s = 0.0
        self._refused_since = None
        self.reconnects += 1
        self._drop()
        until = time.monotonic() + self._pauses.next_s()
        while not self._stopped and not self.clock_was_set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, GLANCE_S))
            self._look()
            self.idle()

    def _drop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.end()


class _Pauses:
    """Pauses between connections: twice as long each time, and never all cameras at once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._count = rng, 0

    def begin_anew(self) -> None:
        self._count = 0

    def next_s(self) -> float:
        longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._count, 10))
        self._count += 1
        return longest * self._rng.uniform(0.5, 1.0)
