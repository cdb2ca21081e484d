"""Lines of a text file one at a time, in bounded memory, with the number of each."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from edge.errors import InputError

# Past this many mistakes a file is of another kind, not mistyped; naming more helps nobody.
MOST_PROBLEMS = 100
# By so much of its beginning a file is told to be text.
HEAD_BYTES = 4096
GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
# Bytes no text has, but for one mistyped here and there; of arbitrary bytes they are a tenth.
_CONTROL = bytes([*range(9), *range(14, 27), *range(28, 32)])
MOST_CONTROL = 0.02

# What reading a compressed file that is damaged or cut off raises, beside OSError.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


class Problems:
    """The mistakes of one file, collected until all of it was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: int | None, text: str) -> None:
        if len(self._lines) >= MOST_PROBLEMS:
            self._more += 1
            return
        self._lines.append(f"{self._path}: {text}" if line is None else f"{self._path}:{line}: {text}")

    def __bool__(self) -> bool:
        return bool(self._lines)

    def raise_if_any(self) -> None:
        """Raise InputError with every mistake, in order of the lines."""
        if self._lines:
            more = [f"{self._path}: {self._more} more mistakes"] if self._more else []
            raise InputError([*self._lines, *more])


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of bytes; one that is compressed by gzip, whatever its name, as what is in it.

    Raises:
        OSError: it cannot be opened, or is named .gz and is something else.
    """
    with path.open("rb") as file:
        head = file.peek(len(GZIP))
        if head and not head.startswith(GZIP) and path.suffix.lower() == ".gz":
            raise gzip.BadGzipFile("not a gzip file, as its name says")
        if not head.startswith(GZIP):
            yield file
            return
        with gzip.GzipFile(fileobj=file) as inner:
            yield cast("IO[bytes]", inner)


def head_of(path: Path) -> bytes:
    """Return the beginning of what is in a file.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    try:
        with opened(path) as file:
            return file.read(HEAD_BYTES)
    except DAMAGED as error:
        raise InputError(f"{path}: {damage(error)}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def damage(error: BaseException) -> str:
    return f"the compressed file is damaged or cut off: {error}"


def strange(head: bytes) -> str | None:
    """Return why what begins like this is no text of lines; None where it is."""
    for mark, name in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return f"is text in {name}, expected UTF-8"
    if len(head) - len(head.translate(None, _CONTROL)) > MOST_CONTROL * len(head):
        return "is no text but bytes of another kind, expected text in UTF-8"
    if b"\r" in head.rstrip(b"\r") and b"\n" not in head and len(head) < HEAD_BYTES:
        return "its lines end with CR alone, expected LF, or CR and LF"
    return None


def text_lines(path: Path, problems: Problems, *, longest: int) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without its end) for each line; mistakes go to ``problems``.

    A line above ``longest`` bytes or not UTF-8 is named and left out; no more than ``longest`` bytes of it
    are ever in memory.

    Raises:
        InputError: the file cannot be read at all.
    """
    head = head_of(path)
    wrong = strange(head)
    if wrong is not None:
        problems.add(None, wrong)
        return
    try:
        with opened(path) as file:
            number = 0
            while raw := file.readline(longest + 1):
                number += 1
                if len(raw) > longest and not raw.endswith(b"\n"):
                    length = len(raw)
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(longest)
                        length += len(raw)
                    problems.add(number, f"a line of {length} bytes, expected at most {longest}")
                    continue
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    problems.add(number, f"byte {error.start + 1} is not UTF-8")
                    continue
                yield number, text.rstrip("\r\n")
    except DAMAGED as error:
        problems.add(None, damage(error))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def shortened(value: object) -> str:
    """Return a value as it may stand in a message: quoted, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
