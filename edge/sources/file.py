"""A recording on disk as a source of frames.

It is decoded in a process of its own. What cannot be read is left out and named in ``gaps``; nothing is
ever filled in, neither a picture nor a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.errors import InputError
from edge.frame import Frame, Gap
from edge.sources.clock import Clock, clock_from_log, clock_from_timestamps, timestamp_sigma_s
from edge.sources.process import DecoderDiedError, DecoderProcess
from edge.sources.timelog import TimeLog, read_times

# Longer than any frame takes: a decoder this silent has hung.
TIMEOUT_S = 30.0
NO_TIME = "frames carry no timestamp (a log of capture times would tell, --times)"
NOT_LATER = "timestamps do not increase"
LEAPS = "timestamps leap by more than a month"
MONTH_S = 31 * 86_400.0
LOG_ENDS = "the log of capture times ends before the recording"


def open_video(
    path: Path,
    *,
    start_time: float | None = None,
    times: Path | None = None,
    from_s: float = 0.0,
    timeout_s: float = TIMEOUT_S,
) -> VideoSource:
    """Open a recording and decode its first frame.

    Args:
        start_time: seconds UTC of the first frame (None: 0, or what the log of times says).
        times: log of capture times, one line per frame; else the file's own timestamps count.
        from_s: begin so long after the file's first frame; without ``times`` alone, whose lines count all.

    Raises:
        InputError: no such file, not a recording, no frame that can be decoded, a log that does not fit.
    """
    problems: list[str] = []
    log: TimeLog | None = None
    process: DecoderProcess | None = None
    if times is not None:
        try:
            log = read_times(times, start_time=start_time)
        except InputError as error:
            problems += error.problems
    try:
        process = _decoder_of(path, timeout_s, from_s)
        opened = _opened(path, process)
        source = VideoSource(path, process, opened, log=log, start_time=start_time or 0.0)
        if log is not None and source.frame_count not in (None, len(log.times)):
            problems.append(f"{times}: {len(log.times)} times for the {source.frame_count} frames of {path}")
    except InputError as error:
        problems += error.problems
    if problems:
        if process is not None:
            process.end()
        raise InputError(problems)
    return source


@dataclass
class _Loss:
    """A run of frames that could not be used, since the last good one."""

    reason: str
    count: int = 0


class VideoSource:
    """The frames of a recording, once, in the order of their capture.

    Attributes:
        path: the recording.
        image_size: width, height in pixels.
        frame_count: how many frames the file says it holds; None where it does not say.
        duration_s: how long the file says it is; None where it does not say.
        rate_hz: the nominal frame rate, for estimates alone; None where the file does not say.
        start_time: seconds UTC of the first frame.
        time_sigma_s: 1-sigma error of every frame's time.
        frames_read: how many frames came out so far.
        process: the decoder's.
    """

    def __init__(
        self,
        path: Path,
        process: DecoderProcess,
        opened: dict[str, Any],
        *,
        log: TimeLog | None,
        start_time: float,
    ) -> None:
        self.path = path
        self.image_size: tuple[int, int] = (opened["size"][0], opened["size"][1])
        # Of a part of a file nobody says how many frames it holds.
        self.frame_count: int | None = opened["frames"] if opened["first_pts"] is None else None
        self.duration_s: float | None = opened["duration_s"] or opened["file_duration_s"]
        self._duration_is_the_streams = opened["duration_s"] is not None
        self.rate_hz: float | None = opened["rate_hz"]
        self._time_base_s: tuple[int, int] = (opened["time_base"][0], opened["time_base"][1])
        self.time_sigma_s = (
            log.sigma_s
            if log is not None
            else timestamp_sigma_s(time_base_s=self._time_base_s, rate_hz=self.rate_hz)
        )
        self.frames_read = 0
        self._log, self._start_time = log, start_time
        self._clock: Clock | None = clock_from_log(log.times) if log is not None else None
        if log is None and opened["first_pts"] is not None:
            self._clock = clock_from_timestamps(
                opened["first_pts"], time_base_s=self._time_base_s, start_time=start_time
            )
        self.start_time = start_time if log is None else log.times[0]
        self._last: float | None = None
        self._last_index = -1
        self._gaps: list[Gap] = []
        self.process = process
        process.map_images(self.image_size)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return tuple(self._gaps)

    @property
    def times_from(self) -> str:
        """Where the frames' times come from, in words."""
        return "log of capture times" if self._log is not None else "timestamps of the file"

    @property
    def expected_frames(self) -> int | None:
        """How many frames there are by the file's count or its duration; None where it tells neither."""
        if self.frame_count is None and self.duration_s and self.rate_hz:
            return round(self.duration_s * self.rate_hz)
        return self.frame_count

    def __iter__(self) -> Iterator[Frame]:
        loss: _Loss | None = None
        while True:
            try:
                record = self.process.receive()
            except DecoderDiedError as error:
                self._ended(str(error), loss)
                return
            if "slot" not in record:
                if "end" in record:
                    self._ended(record["end"], loss)
                    return
                loss = loss or _Loss(record["lost"])
                loss.count += 1
                continue
            grey = self.process.grey(record["slot"])
            image = self.process.take(record["slot"])
            time = self._time(record["index"], record["pts"])
            unusable = self._why_unusable(record["index"], time)
            if unusable is not None or time is None:
                loss = loss or _Loss(unusable or NO_TIME)
                loss.count += 1
                continue
            if loss is not None:
                self._name(loss, time)
                loss = None
            self._last, self._last_index = time, record["index"]
            self.frames_read += 1
            frame = Frame(record["index"], time, self.time_sigma_s, image, grey)
            del image, grey
            yield frame
            del frame

    def close(self) -> None:
        """End the decoder; may be called twice and at any time."""
        self.process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _time(self, index: int, pts: int | None) -> float | None:
        if self._clock is None and pts is not None:
            self._clock = clock_from_timestamps(
                pts, time_base_s=self._time_base_s, start_time=self._start_time
            )
        return self._clock(index, pts) if self._clock is not None else None

    def _why_unusable(self, index: int, time: float | None) -> str | None:
        if time is None:
            return LOG_ENDS if self._log is not None and index >= len(self._log.times) else NO_TIME
        if abs(time - (self.start_time if self._last is None else self._last)) > MONTH_S:
            return LEAPS
        return NOT_LATER if self._last is not None and time <= self._last else None

    def _name(self, loss: _Loss, until: float) -> None:
        start = self.start_time if self._last is None else self._last
        frames = "1 frame" if loss.count == 1 else f"{loss.count} frames"
        self._gaps.append(Gap(start, max(start, until), f"{frames} left out: {loss.reason}"))

    def _ended(self, reason: str | None, loss: _Loss | None) -> None:
        """Name what is missing at the end; ``reason`` is None at the end of the file."""
        with contextlib.suppress(ValueError):
            self.close()
        last = self.start_time if self._last is None else self._last
        until = self._expected_end()
        reason = reason or self._missing(last, until, 0 if loss is None else loss.count)
        if reason is not None:
            self._gaps.append(Gap(last, max(last, until), reason))
        elif loss is not None:
            self._name(loss, until)
        if self._last is None:
            why = self._gaps[-1].reason if loss is None else loss.reason
            raise InputError(f"{self.path}: no frame of it can be used: {why}")

    def _expected_end(self) -> float:
        """Return the time of the last frame by what the file or the log says; -inf where neither does."""
        if self._log is not None:
            return self._log.times[-1]
        if self.duration_s is None:
            return float("-inf")
        return self._start_time + self.duration_s - (1 / self.rate_hz if self.rate_hz else 0.0)

    def _missing(self, last: float, until: float, lost: int) -> str | None:
        """Return what the end of the recording lacks beyond frames known as lost; None where nothing."""
        came = self._last_index + 1 + lost
        if self._log is not None:
            behind = len(self._log.times) - came
            return f"{behind} times of the log have no frame" if behind > 0 else None
        if self.frame_count is not None:
            few = came < self.frame_count
            return f"the file ends after {came} of its {self.frame_count} frames" if few else None
        if lost:
            return None
        # A file's duration may be rounded, or that of its sound: only what is plainly missing is told.
        slack_s = max(0.25, 5 / self.rate_hz if self.rate_hz else 0.0)
        slack_s = slack_s if self._duration_is_the_streams else slack_s + 1.0
        return f"the file ends {until - last:.1f} s early" if until - last > slack_s else None


def _decoder_of(path: Path, timeout_s: float, from_s: float) -> DecoderProcess:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a recording")
        if not path.is_file():
            raise InputError(f"{path}: is not a file, expected a recording")
        if size == 0:
            raise InputError(f"{path}: is empty, expected a recording")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return DecoderProcess(path, timeout_s=timeout_s, from_s=from_s)


def _opened(path: Path, process: DecoderProcess) -> dict[str, Any]:
    try:
        record = process.receive()
    except DecoderDiedError as error:
        process.end()
        raise InputError(f"{path}: cannot be read: {error}") from error
    if "error" in record:
        process.end()
        raise InputError(f"{path}: {record['error']}")
    return record
