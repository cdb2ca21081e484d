"""Clips and plates on disk, each under the sha256 of the bytes that travelled.

A file is whole or not there: written aside, synced, then renamed, and the folder synced too.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import struct
import tempfile
import zlib
from pathlib import Path

from broker.drawing import Clip, Plate

_PNG = b"\x89PNG\r\n\x1a\n"
# What a still needs. Text, time, EXIF and profile chunks could carry anything.
_PNG_CHUNKS = {
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"sRGB",
    b"cHRM",
    b"pHYs",
    b"sBIT",
    b"bKGD",
}


# A plate is at most some hundred pixels wide; this is 4096 x 4096 in colour.
_MOST_PIXEL_BYTES = 4096 * (1 + 3 * 4096)


class ClipFolder:
    """The files of one collector: ``{folder}/{first two digits}/{hash}.json``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, hash_: str) -> Path:
        return self._folder / hash_[:2] / f"{hash_}.json"

    def write(self, payload: bytes) -> str:
        """Keep the bytes and return their hash; once this returns they outlive a power cut."""
        hash_ = hashlib.sha256(payload).hexdigest()
        path = self.path(hash_)
        if path.is_file() and path.stat().st_size == len(payload):
            return hash_
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            _sync(self._folder)
        handle, aside = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        _sync(path.parent)
        return hash_

    def read(self, hash_: str) -> bytes | None:
        """Return the bytes, None where they are not here (not yet, or deleted after their time)."""
        with contextlib.suppress(FileNotFoundError):
            return self.path(hash_).read_bytes()
        return None

    def delete(self, hash_: str) -> bool:
        """Remove a file and tell whether it was there."""
        with contextlib.suppress(FileNotFoundError):
            self.path(hash_).unlink()
            return True
        return False

    def size(self, hash_: str) -> int:
        """Return the bytes of a file, 0 where it is not here."""
        with contextlib.suppress(FileNotFoundError):
            return self.path(hash_).stat().st_size
        return 0

    def hashes(self) -> set[str]:
        """Return the hash of every file here."""
        return {path.stem for path in self._folder.glob("??/*.json")}

    def older_than(self, time_s: int) -> set[str]:
        """Return the hash of every file written before an instant, seconds UTC."""
        return {path.stem for path in self._folder.glob("??/*.json") if path.stat().st_mtime < time_s}

    def sweep_parts(self) -> int:
        """Remove what an interrupted write left, and return how many files that were."""
        parts = list(self._folder.glob("??/*.part"))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)


def checked_plate(payload: bytes) -> Plate:
    """Return a plate whose background, if any, is a bare PNG.

    Raises:
        ValueError: not a plate, or a picture that is something else or carries more than pixels.
    """
    plate = Plate.decode(payload)
    _bare(payload)
    if plate.background is not None:
        try:
            picture = base64.b64decode(plate.background, validate=True)
        except binascii.Error as error:
            raise ValueError("background: not base64") from error
        problem = png_problem(picture)
        if problem:
            raise ValueError(f"background: {problem}")
    return plate


def checked_clip(payload: bytes) -> Clip:
    """Return a clip.

    Raises:
        ValueError: not a clip, or bytes that hold more than one.
    """
    clip = Clip.decode(payload)
    _bare(payload)
    return clip


def _bare(payload: bytes) -> None:
    """Hold what is kept byte for byte to its record: no string of it has a blank or an escape.

    Raises:
        ValueError: there is one, and with it room for anything.
    """
    if re.search(rb"[\s\\]", payload):
        raise ValueError("blanks or escapes in what is kept byte for byte: expected compact JSON")


def png_problem(picture: bytes) -> str | None:
    """Return why these bytes are not a bare PNG, None where they are.

    Source: PNG (ISO/IEC 15948), chunk layout: length, type, content, CRC.
    """
    if not picture.startswith(_PNG + b"\0\0\0\x0dIHDR"):
        return "not a PNG"
    at, last, pixels = len(_PNG), b"", b""
    while at < len(picture):
        if at + 12 > len(picture):
            return "a PNG cut short"
        size, last = struct.unpack_from(">I4s", picture, at)
        if last not in _PNG_CHUNKS:
            return "a PNG that carries more than pixels"
        crc = picture[at + 8 + size : at + 12 + size]
        if len(crc) < 4 or binascii.crc32(picture[at + 4 : at + 8 + size]) != int.from_bytes(crc):
            return "a PNG cut short or damaged"
        if last == b"IDAT":
            pixels += picture[at + 8 : at + 8 + size]
        at += 12 + size
        if last == b"IEND":
            break
    if last != b"IEND" or at != len(picture):
        return "a PNG cut short, or with something behind it"
    return _pixels_problem(picture[16:29], pixels)


def _pixels_problem(header: bytes, pixels: bytes) -> str | None:
    """Return why a PNG's data are not exactly the rows its header (IHDR) announces, None where they are."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    rows = height * (1 + -(-width * samples * depth // 8))
    if not samples or interlace or not 0 < rows <= _MOST_PIXEL_BYTES:
        return "a PNG of a kind or size that no plate has"
    stream = zlib.decompressobj()
    try:
        found = len(stream.decompress(pixels, rows + 1))
    except zlib.error:
        return "a PNG cut short or damaged"
    if found != rows or not stream.eof or stream.unused_data:
        return "a PNG with more or less in it than its pixels"
    return None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
