"""A camera's own process: its stream to the newest images in shared memory.

Untrusted video can crash or hang a decoder, and a camera can fall silent in any way there is, so it runs
here, where it can be killed. Frames nobody asked for in time are dropped, oldest first: what comes out is at
most ``WAITING`` frames old, however slow the other side is. It speaks:

    stdin   one JSON line that says what to open (an address may hold a password: no argument, which every
            user of the machine can read), then one byte a frame that is wanted, the slot to fill
    stdout  one JSON record a line: ``opened``, then a ``slot`` for each byte; at last ``end``, the reason
    memory  ``slots`` images (H, W, 3) uint8 BGR, one after the other
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import resource
import struct
import sys
import threading
import time
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from edge.sources.decoder import MAX_PIXELS, Slots, frames

_PR_SET_DUMPABLE = 4
# What a camera is opened with: the protocols and the one format each kind may use, so that no address makes
# libavformat open a playlist, a file or another host.
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "rtsp": (
        "rtsp",
        {
            "rtsp_transport": "tcp",
            "timeout": "3000000",  # microseconds without a byte
            "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls,udp",
            "fflags": "nobuffer",
            "analyzeduration": "1000000",
            "allowed_media_types": "video",
        },
    ),
    "http": (
        "mpjpeg",
        {"rw_timeout": "3000000", "timeout": "3000000", "protocol_whitelist": "http,https,tcp,tls,httpproxy"},
    ),
    "usb": ("v4l2", {"timestamps": "default"}),
}
WAITING = 3
# A street is never the same to the last bit for so long: sensor noise alone changes it. A camera whose
# encoder hangs repeats its last picture.
STILL_S = 8.0
STILL_EVERY_S = 0.5
STANDS_STILL = "the picture stands still"
REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a packet: when it came, and the camera's UTC of it where RTCP told."""

    arrived_s: float
    ntp_s: float | None


class Timed:
    """A stream's packets, with a note of when each came."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.arrivals: OrderedDict[int | None, Arrival] = OrderedDict()
        self.last = Arrival(time.monotonic(), None)

    def demux(self, stream: Any) -> Iterator[Any]:
        for packet in self._container.demux(stream):
            if packet.size:
                self.last = Arrival(time.monotonic(), ntp_of(packet))
                self.arrivals[packet.pts] = self.last
                while len(self.arrivals) > REMEMBERED:
                    self.arrivals.popitem(last=False)
            yield packet


def ntp_of(packet: Any) -> float | None:
    """Return the camera's UTC of a packet, seconds; None before the first RTCP sender report.

    FFmpeg ties each RTP timestamp to the latest report: AVProducerReferenceTime, int64 microseconds first.
    """
    if not packet.has_sidedata("prft"):
        return None
    (microseconds,) = struct.unpack_from("<q", bytes(packet.get_sidedata("prft")))
    return float(microseconds) * 1e-6


@dataclass(frozen=True, slots=True)
class Waiting:
    """A decoded picture nobody has asked for yet."""

    index: int
    picture: Any
    arrival: Arrival


class Newest:
    """The last few pictures; the oldest gives way and is counted."""

    def __init__(self) -> None:
        self._pictures: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self.dropped = 0
        self.lost = 0
        self._end: str | None = None

    def put(self, picture: Waiting) -> None:
        with self._changed:
            if len(self._pictures) >= WAITING:
                self._pictures.popleft()
                self.dropped += 1
            self._pictures.append(picture)
            self._changed.notify()

    def end(self, reason: str) -> None:
        with self._changed:
            self._end = self._end or reason
            self._changed.notify()

    def first(self) -> Any:
        """Wait for a picture and return it, without taking it; the reason where none will come."""
        with self._changed:
            while not self._pictures and self._end is None:
                self._changed.wait()
            return self._pictures[0].picture if self._pictures else self._end

    def take(self) -> Waiting | str:
        """Wait for a picture and take it; the reason where none will come any more."""
        with self._changed:
            while not self._pictures and self._end is None:
                self._changed.wait()
            return self._pictures.popleft() if self._pictures else str(self._end)


class Stillness:
    """Whether the picture is the same again and again, to the last bit."""

    def __init__(self) -> None:
        self._mark, self._since_s, self._looked_s = -1, 0.0, -1.0

    def lasts(self, picture: Any, now: float) -> bool:
        """Return whether it has been the same for ``STILL_S``."""
        if now - self._looked_s < STILL_EVERY_S:
            return False
        self._looked_s = now
        plane = picture.planes[0]
        rows = np.frombuffer(plane, np.uint8)[: plane.line_size * plane.height]
        mark = zlib.crc32(rows.reshape(plane.height, plane.line_size)[::4].tobytes())
        if mark != self._mark:
            self._mark, self._since_s = mark, now
        return now - self._since_s >= STILL_S


def read(stream: Any, timed: Timed, newest: Newest) -> None:
    """Decode until the stream ends: the oldest of what waits gives way."""
    stillness = Stillness()
    for item in frames(timed, stream):
        if isinstance(item, str):
            newest.lost += 1
            if item.startswith("the file cannot"):
                newest.end(f"the stream broke off ({item.rpartition(': ')[2]})")
                return
            continue
        index, picture = item
        if stillness.lasts(picture, time.monotonic()):
            newest.end(STANDS_STILL)
            return
        pts = picture.pts if picture.pts is not None else picture.dts
        newest.put(Waiting(index, picture, timed.arrivals.get(pts, timed.last)))
    newest.end("the camera ended the stream")


def show(
    asked: dict[str, Any], memory_fd: int, count: int, wanted: queue.SimpleQueue[int]
) -> Iterator[dict[str, Any]]:
    """Yield the records of a camera, filling a slot before each ``slot`` record."""
    kind = asked["kind"]
    format_name, options = KINDS[kind]
    try:
        container = av.open(asked["url"], format=format_name, options={**options, **asked["options"]})
    except (av.error.FFmpegError, ValueError) as error:
        # The text names the address; its kind of error does not.
        yield {"end": f"the camera cannot be opened ({getattr(error, 'strerror', None) or 'no such source'})"}
        return
    with container:
        if not container.streams.video:
            yield {"end": "the camera sends no video"}
            return
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"  # threads by frame would hold back as many frames as there are threads
        stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
        newest, timed = Newest(), Timed(container)
        threading.Thread(target=_reading, args=(stream, timed, newest), daemon=True).start()
        base_s = None if kind == "http" else float(stream.time_base)
        first = newest.first()
        if isinstance(first, str):
            yield {"end": first}
            return
        size = (first.width, first.height)
        slots = Slots(memory_fd, count=count, size=size)
        rate = stream.average_rate or stream.guessed_rate
        yield {"opened": True, "size": size, "rate_hz": float(rate) if rate else None}
        while True:
            slot = wanted.get()
            waiting = newest.take()
            if isinstance(waiting, str):
                yield {"end": waiting, "state": "frozen" if waiting == STANDS_STILL else "lost"}
                return
            picture = waiting.picture
            if (picture.width, picture.height) != size:
                came = f"{picture.width}×{picture.height}"
                yield {"end": f"its image is {came} now, and was {size[0]}×{size[1]}", "state": "other_size"}
                return
            slots.fill(slot, picture, 0)
            pts = picture.pts if picture.pts is not None else picture.dts
            yield {
                "slot": slot,
                "index": waiting.index,
                "pts_s": None if pts is None or base_s is None else pts * base_s,
                "arrived_s": waiting.arrival.arrived_s,
                "ntp_s": waiting.arrival.ntp_s,
                "dropped": newest.dropped,
                "lost": newest.lost,
            }


def _reading(stream: Any, timed: Timed, newest: Newest) -> None:
    try:
        read(stream, timed, newest)
    except BaseException as error:
        newest.end(f"the decoder failed ({type(error).__name__})")
        raise


def _listen(first: bytes, wanted: queue.SimpleQueue[int]) -> None:
    """Take what is asked for until the other side is gone, then end at once, wherever the decoder is."""
    slots = first
    while True:
        for slot in slots:
            wanted.put(slot)
        if not (slots := os.read(0, 64)):
            os._exit(0)


def main() -> None:
    memory_fd, count = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would be a raw frame on disk
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # nor may another process look; exec undid it
    out = os.dup(1)
    os.dup2(2, 1)  # nothing a library prints may mix with the records
    told = b""
    while b"\n" not in told:
        if not (more := os.read(0, 1 << 16)):
            os._exit(0)
        told += more
    line, _, first = told.partition(b"\n")
    wanted: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(first, wanted), daemon=True).start()
    for record in show(json.loads(line), memory_fd, count, wanted):
        os.write(out, json.dumps(record).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
