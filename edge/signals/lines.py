"""Lines of a text file one at a time, in bounded memory, with the number of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.errors import InputError

# Past this many mistakes a file is of another kind, not mistyped; naming more helps nobody.
MOST_PROBLEMS = 100


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


def text_lines(path: Path, problems: Problems, *, longest: int) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text without its end) for each line; mistakes go to ``problems``.

    A line above ``longest`` bytes or not UTF-8 is named and left out; no more than ``longest`` bytes of it
    are ever in memory.

    Raises:
        InputError: the file cannot be read at all.
    """
    try:
        with path.open("rb") as file:
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
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def shortened(value: object) -> str:
    """Return a value as it may stand in a message: quoted, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
