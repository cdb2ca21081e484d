"""One stretch of a sequence as a source of frames, whatever files it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.frame import Frame, Gap
from edge.sources.file import VideoSource, open_video
from edge.study.timeline import Recording, Sequence, Stretch


class StretchSource:
    """The frames of a stretch in order, from its warm-up to its tail; the attributes of ``VideoSource``.

    A frame of the next file that is not later than the last one of the file before is left out: recorders
    begin a file a little before the other ends, or round the time in its name.
    """

    def __init__(self, sequence: Sequence, stretch: Stretch) -> None:
        self._files = sequence.during(stretch.begin, stretch.until)
        self._stretch = stretch
        self._gaps: list[Gap] = []
        first = self._files[0]
        self._open: VideoSource | None = _opened(first, stretch)
        self.path: Path = first.path
        self.image_size = self._open.image_size
        self.rate_hz = self._open.rate_hz
        self.time_sigma_s = self._open.time_sigma_s
        self.times_from = self._open.times_from
        self.start_time = max(first.start, stretch.begin)
        self.frames_read = 0

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return tuple(self._gaps)

    @property
    def expected_frames(self) -> int | None:
        seconds = self._stretch.until - self._stretch.begin
        return round(seconds * self.rate_hz) if self.rate_hz else None

    def __iter__(self) -> Iterator[Frame]:
        last = float("-inf")
        for each in self._files:
            source = self._open or _opened(each, self._stretch)
            self._open = source
            try:
                for frame in source:
                    if frame.time >= self._stretch.until:
                        break
                    if frame.time < self._stretch.begin or frame.time <= last:
                        continue
                    last = frame.time
                    self.frames_read += 1
                    yield Frame(self.frames_read - 1, frame.time, frame.time_sigma_s, frame.image, frame.grey)
                    del frame
            finally:
                self._gaps += source.gaps
                self.close()

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _opened(recording: Recording, stretch: Stretch) -> VideoSource:
    # A log of capture times counts frames from the first one on, so such a file is read from its beginning.
    from_s = 0.0 if recording.times is not None else max(0.0, stretch.begin - recording.start)
    return open_video(recording.path, start_time=recording.start, times=recording.times, from_s=from_s)
