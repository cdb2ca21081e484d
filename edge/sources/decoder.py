"""The decoder's own process: a recording on disk to images in shared memory.

Untrusted video can crash or hang a decoder, so it runs here, where it can take nothing with it. Started as
a script by ``edge.sources.file``; imports nothing of this project, so that it starts fast. It speaks:

    stdin   one byte per image slot that may be filled
    stdout  one JSON record a line: an ``opened`` record first, then ``slot`` and ``lost``, at last ``end``
            (null, or why it ends before the file does); or a single ``error``
    memory  ``slots`` images (H, W, 3) uint8 BGR, one after the other, then as many grey ones at a quarter of
            the size (H/4, W/4): whoever only glances at a frame needs no more

With a last argument it begins so many seconds after the first frame; with
``--extent`` in place of all it prints one record of how long the recording is, and decodes one frame.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import json
import math
import mmap
import os
import queue
import resource
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

# A text file is a "tty" video to libavformat, a picture a video of one frame, and a playlist opens other
# files or hosts: only containers and elementary streams of recordings are taken.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,"
    "h264,hevc,m4v,mpegvideo,ivf,mxf,dv,nut,obu,mjpeg,yuv4mpegpipe"
)
# 16k x 8k with room: beyond it a few bytes of file would claim gigabytes of memory.
MAX_PIXELS = 160_000_000
_PR_SET_DUMPABLE = 4
# Longer than the distance of key frames in most recordings.
EARLIER_S = 10.0


@dataclass
class Order:
    """A frame's place in the recording, counting the frames that could not be decoded.

    Every packet's timestamp waits here until its frame comes out. What is passed over was not decoded; only
    where the decoder complained is it counted, because some codecs have packets that never show a frame.
    """

    waiting: list[int] = field(default_factory=list)
    next: int = 0

    def packet(self, pts: int | None) -> None:
        if pts is not None:
            heapq.heappush(self.waiting, pts)

    def place(self, pts: int | None, *, troubled: bool) -> int:
        """Return the index of the frame with a timestamp; ``troubled``: an error came since the last one."""
        passed = 0
        while pts is not None and self.waiting and self.waiting[0] < pts:
            heapq.heappop(self.waiting)
            passed += 1
        if self.waiting and self.waiting[0] == pts:
            heapq.heappop(self.waiting)
        here = self.next + (passed if troubled else 0)
        self.next = here + 1
        return here


def upright(image: NDArray[np.uint8], rotation_deg: int) -> NDArray[np.uint8]:
    """Return an image turned as its recording says, counter-clockwise, in steps of 90 degrees."""
    return np.rot90(image, round(rotation_deg / 90) % 4) if rotation_deg % 360 else image


def frames(container: Any, stream: Any) -> Iterator[tuple[int, Any] | str]:
    """Yield ``(index, frame)`` per sound frame, or the reason one was lost.

    After an error everything is lost up to the next key frame: a decoder goes on with pictures it made up.
    """
    order, sound = Order(), True
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            yield f"the file cannot be read on: {error.strerror}"
            return
        if packet is None:
            return
        if not packet.is_discard:
            order.packet(packet.pts)
        try:
            pictures = packet.decode()
        except av.error.FFmpegError as error:
            sound = False
            yield f"decoding failed: {error.strerror}"
            continue
        for picture in pictures:
            pts = picture.pts if picture.pts is not None else picture.dts
            if picture.is_corrupt:
                sound = False
                order.place(pts, troubled=True)
                yield "the decoder marked frames as corrupt"
            elif sound or picture.key_frame:
                index = order.place(pts, troubled=not sound)
                sound = True
                yield index, picture
            else:
                order.place(pts, troubled=True)
                yield "frames depend on damaged ones"


class Slots:
    """Images of one size in memory that two processes see; a slot is filled once the other side frees it."""

    def __init__(self, memory_fd: int, *, count: int, size: tuple[int, int]) -> None:
        width, height = size
        self._small = (width // 4, height // 4)
        begin, grey_size = count * height * width * 3, (width // 4) * (height // 4)
        os.ftruncate(memory_fd, begin + count * grey_size)
        self.memory = mmap.mmap(memory_fd, begin + count * grey_size)
        self.images = np.frombuffer(self.memory, np.uint8, begin).reshape(count, height, width, 3)
        self.greys = (
            np.frombuffer(self.memory, np.uint8, count * grey_size, begin).reshape(count, -1)
            if grey_size
            else None
        )
        self.free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._reformatter, self._shrinker = VideoReformatter(), VideoReformatter()

    def fill(self, slot: int, picture: Any, rotation_deg: int) -> None:
        # One thread: at these sizes handing the work around costs more than the work.
        made = self._reformatter.reformat(picture, format="bgr24", threads=1)
        image = _rows(made, 3).reshape(picture.height, picture.width, 3)
        np.copyto(self.images[slot], upright(image, rotation_deg))
        if self.greys is not None:
            turned = round(rotation_deg / 90) % 2 == 1
            width, height = self._small[::-1] if turned else self._small
            # Straight from the decoder's luma: the colours are not looked at for motion.
            small = self._shrinker.reformat(
                picture, width=width, height=height, format="gray8", interpolation="AREA", threads=1
            )
            np.copyto(self.greys[slot].reshape(self._small[::-1]), upright(_rows(small, 1), rotation_deg))


def _rows(picture: Any, channels: int) -> NDArray[np.uint8]:
    """Return the bytes (H, W * channels) of a packed picture, without the padding of its lines."""
    plane = picture.planes[0]
    rows = np.asarray(memoryview(plane)).view(np.uint8).reshape(picture.height, plane.line_size)
    return rows[:, : picture.width * channels]


class Unreadable(Exception):
    """Not a recording; the message is one clear clause."""


@contextlib.contextmanager
def recording(path: str) -> Iterator[tuple[Any, Any]]:
    """Open a recording; yields its container and its video stream.

    Raises:
        Unreadable: it is none, or holds no video.
    """
    try:
        container = av.open(
            f"file:{path}", options={"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        )
    except (av.error.FFmpegError, ValueError) as error:
        # "Invalid argument" is how libavformat says that no format we take fits.
        reason = "" if isinstance(error, ValueError) else f" ({error.strerror})"
        raise Unreadable(f"not a recording that can be read{reason}") from error
    with container:
        streams = [
            each for each in container.streams.video if not each.disposition & each.disposition.attached_pic
        ]
        if not streams:
            raise Unreadable("has no video stream")
        stream = streams[0]
        stream.thread_type = "AUTO"
        # Without "explode" the decoder hides an error behind a picture it makes up.
        stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
        yield container, stream


def first_shown(container: Any, stream: Any) -> Any:
    """Return the first frame that can be decoded.

    Raises:
        Unreadable: there is none.
    """
    lost = "it has no frames"
    for item in frames(container, stream):
        if not isinstance(item, str):
            return item[1]
        lost = item
    raise Unreadable(f"holds no frame that can be decoded ({lost})")


def extent(path: str) -> dict[str, Any]:
    """Return size and duration of a recording: all its packets are read, one frame of it is decoded."""
    try:
        with recording(path) as (container, stream):
            first = first_shown(container, stream)
            start = first.pts if first.pts is not None else first.dts
            turned = round(int(first.rotation) / 90) % 2 == 1
            last, longest = start, 0
            with contextlib.suppress(av.error.FFmpegError):  # as far as it can be read
                for packet in container.demux(stream):
                    pts = packet.pts if packet.pts is not None else packet.dts
                    if pts is not None and not packet.is_discard:
                        last = pts if last is None else max(last, pts)
                        longest = max(longest, packet.duration or 0)
            if start is None or last is None:
                return {"error": "frames carry no timestamp"}
            return {
                "size": [first.height, first.width] if turned else [first.width, first.height],
                "duration_s": float((last - start + longest) * stream.time_base),
            }
    except Unreadable as error:
        return {"error": str(error)}


def decode(
    path: str, memory_fd: int, count: int, free: queue.SimpleQueue[int], *, from_s: float = 0.0
) -> Iterator[dict[str, Any]]:
    """Yield the records of a recording, filling a slot before each ``slot`` record."""
    try:
        with recording(path) as (container, stream):
            yield from _records(container, stream, memory_fd, count, free, from_s=from_s)
    except Unreadable as error:
        yield {"error": str(error)}


def _records(
    container: Any, stream: Any, memory_fd: int, count: int, free: queue.SimpleQueue[int], *, from_s: float
) -> Iterator[dict[str, Any]]:
    first_pts = wanted_pts = None
    if from_s > 0:
        first = first_shown(container, stream)
        first_pts = first.pts if first.pts is not None else first.dts
        if first_pts is None:
            raise Unreadable("frames carry no timestamp, so none can be looked up by its time")
        wanted_pts = first_pts + math.floor(from_s / stream.time_base)
        # A transport stream has no index: a look-up may land at the key frame after.
        earlier = max(first_pts, wanted_pts - math.ceil(EARLIER_S / stream.time_base))
        container.seek(earlier, stream=stream, backward=True)
    slots: Slots | None = None
    size = (0, 0)
    lost: list[str] = []
    for item in frames(container, stream):
        if isinstance(item, str):
            if slots is None:
                lost.append(item)
            else:
                yield {"lost": item}
            continue
        index, picture = item
        pts = picture.pts if picture.pts is not None else picture.dts
        if wanted_pts is not None and (pts is None or pts < wanted_pts):
            continue
        rotation_deg = int(picture.rotation)
        turned = round(rotation_deg / 90) % 2 == 1
        came = (picture.height, picture.width) if turned else (picture.width, picture.height)
        if slots is None:
            size, slots = came, Slots(memory_fd, count=count, size=came)
            yield {**_opened(container, stream, size), "first_pts": first_pts}
            yield from ({"lost": reason} for reason in lost)
        elif came != size:
            yield {"end": f"the image size changes from {size[0]}×{size[1]} to {came[0]}×{came[1]}"}
            return
        slot = free.get()
        slots.fill(slot, picture, rotation_deg)
        yield {"slot": slot, "index": index, "pts": pts}
    if slots is None:
        where = f" after {from_s:g} s" if from_s > 0 else ""
        yield {
            "error": f"holds no frame{where} that can be decoded ({lost[0] if lost else 'it has no frames'})"
        }
    else:
        yield {"end": None}


def _opened(container: Any, stream: Any, size: tuple[int, int]) -> dict[str, Any]:
    base, rate = stream.time_base, stream.average_rate or stream.guessed_rate
    duration_s = float(stream.duration * base) if stream.duration else None
    if duration_s is None:
        with contextlib.suppress(ValueError, KeyError):  # Matroska keeps it as "00:00:04.000000000"
            hours, minutes, seconds = stream.metadata["DURATION"].split(":")
            duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return {
        "opened": True,
        "size": size,
        "time_base": [base.numerator, base.denominator],
        "rate_hz": float(rate) if rate else None,
        # Only these count frames; AVI, for one, counts ticks of its clock.
        "frames": (stream.frames or None) if container.format.name.startswith("mov") else None,
        "duration_s": duration_s,
        # That of the whole file, which a longer sound track stretches.
        "file_duration_s": container.duration / av.time_base if container.duration else None,
    }


def _listen(free: queue.SimpleQueue[int]) -> None:
    """Take freed slots until the other side is gone, then end at once, wherever the decoder is."""
    while slots := os.read(0, 64):
        for slot in slots:
            free.put(slot)
    os._exit(0)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would be a raw frame on disk
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # nor may another process look; exec undid it
    if sys.argv[1] == "--extent":
        print(json.dumps(extent(sys.argv[2])), flush=True)  # noqa: T201 — the one record there is
        os._exit(0)
    path, from_s, memory_fd, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    out = os.dup(1)
    os.dup2(2, 1)  # nothing a library prints may mix with the records
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(free,), daemon=True).start()
    for record in decode(path, memory_fd, count, free, from_s=from_s):
        os.write(out, json.dumps(record).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
