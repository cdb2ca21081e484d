"""UTC by a clock that nobody sets: the host's monotonic clock, anchored to its wall clock.

A wall clock can be set while the node runs, by a person or by NTP after a start without network. Frames
must not jump with it, so their times come from the monotonic clock and an anchor; the wall clock is compared
with it, followed slowly where it drifts, and taken as the new anchor once it has stayed elsewhere.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable
from typing import Literal

# A difference beyond this was set, not drifted: NTP steps at 0.128 s (ntpd) to 1 s (chrony, 3 updates).
STEP_S = 0.5
# A clock that was set and set back within this has cost nothing.
CONFIRM_S = 10.0
# How fast a small difference is taken over: a speed measured meanwhile is wrong by this share.
SLEW = 0.02

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), Linux, 64 bit."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_sigma_s() -> float:
    """Return the 1-sigma error of the host's clock as its kernel knows it; ``inf`` where nothing sets it.

    The kernel keeps a bound (maxerror), set by chronyd, ntpd or systemd-timesyncd and growing between their
    updates; an error evenly spread within a bound has bound / sqrt(3).
    """
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state in (-1, _TIME_ERROR) or timex.status & _STA_UNSYNC:
        return math.inf
    return float(timex.maxerror) * 1e-6 / math.sqrt(3)


class HostClock:
    """Seconds UTC that never run backwards and never leap; may be asked from several threads.

    Args:
        sigma_s: what the operator states of the host's clock; None: what the kernel says of it.
    """

    def __init__(
        self,
        *,
        sigma_s: float | None = None,
        utc: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        kernel: Callable[[], float] = kernel_sigma_s,
    ) -> None:
        self._stated_s, self._utc, self.monotonic, self._kernel = sigma_s, utc, monotonic, kernel
        self._lock = threading.Lock()
        self._offset_s = utc() - monotonic()
        self._target_s = self._offset_s
        self._looked_s = monotonic()
        self._elsewhere: tuple[float, float] | None = None  # since when it is set, and by how much
        self._error_s = self._known_error()
        self.steps = 0  # how often a set clock was taken over

    def state_error(self, sigma_s: float | None) -> None:
        """Take what the operator states of the clock's error; None: what the kernel says of it."""
        with self._lock:
            self._stated_s = sigma_s
            self._error_s = self._known_error()

    @property
    def kept(self) -> Literal["stated", "synchronised", "unsynchronised", "set"]:
        """Who says how good the clock is; ``set``: somebody has just set it."""
        if self._elsewhere is not None:
            return "set"
        if self._stated_s is not None:
            return "stated"
        return "synchronised" if math.isfinite(self._error_s) else "unsynchronised"

    @property
    def set_by_s(self) -> float | None:
        """By how much the host's clock was just set, while it is not yet known whether it stays so."""
        elsewhere = self._elsewhere
        return None if elsewhere is None else elsewhere[1]

    @property
    def sigma_s(self) -> float:
        """1-sigma error of the times given now: unknown (``inf``) while the clock has just been set."""
        if self._elsewhere is not None:
            return math.inf
        return math.hypot(self._error_s, self._target_s - self._offset_s)

    def now(self) -> float:
        """Return seconds UTC."""
        return self.at(self.monotonic())

    def at(self, monotonic_s: float) -> float:
        """Return seconds UTC of an instant of the monotonic clock."""
        return monotonic_s + self._offset_s

    def look(self) -> bool:
        """Compare with the wall clock; True where it was set, stayed so, and now counts.

        Times leap with it: what measures differences of times begins anew.
        """
        with self._lock:
            now = self.monotonic()
            passed, self._looked_s = now - self._looked_s, now
            wall_s = self._utc() - now
            by_s = wall_s - self._target_s
            if abs(by_s) > STEP_S:
                if self._elsewhere is None or abs(by_s - self._elsewhere[1]) > STEP_S:
                    self._elsewhere = (now, by_s)
                if now - self._elsewhere[0] >= CONFIRM_S:
                    self._offset_s = self._target_s = wall_s
                    self._elsewhere = None
                    self._error_s = self._known_error()
                    self.steps += 1
                    return True
                return False
            self._elsewhere = None
            self._target_s = wall_s
            most = SLEW * max(passed, 0.0)
            self._offset_s += min(max(self._target_s - self._offset_s, -most), most)
            self._error_s = self._known_error()
            return False

    def _known_error(self) -> float:
        return self._kernel() if self._stated_s is None else self._stated_s
