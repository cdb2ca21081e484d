"""``tracks.csv[.gz]``: trajectories from any tracker, read in blocks of rows (DESIGN §4.3)."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from edge.rules.samples import KINDS, Floats, Samples
from edge.signals.header import column_problems, columns
from edge.signals.lines import DAMAGED, HEAD_BYTES, Problems, damage, opened, shortened, strange
from edge.signals.seconds import LATEST_S, RELATIVE_BELOW_S, time_problem, utc

COLUMNS = ("time", "track", "kind", "x", "y", "heading_deg", "length_m", "width_m")
OPTIONAL_COLUMNS = ("sigma_m",)
# A row is some seventy characters; this leaves room for any that a person could have meant.
LONGEST_ROW = 2_000
BLOCK_BYTES = 1 << 21
# Their cells, half a megabyte of small strings, stay in the processor's cache.
LINES_AT_ONCE = 1_000
# A tracks file says when a row was true to about this; it is no frame clock with an error of its own.
TIME_SIGMA_S = 0.005
LARGEST_M = 100_000.0
LARGEST_SIZE_M = 100.0
_CODES: dict[str, float] = {kind: float(code) for code, kind in enumerate(KINDS)}


class _Numbers(dict[str, int]):
    """Numbers from 1 in order of appearance: any string may name a track."""

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self) + 1
        return number


class TracksFile:
    """Reads one tracks file once, block by block; every mistake goes to ``problems``.

    Iterating yields samples whose rows are sound, cut between instants: an instant is never split over two
    blocks. Once there is a mistake nothing more is yielded, yet the rest is still read for others.
    """

    def __init__(self, path: Path, problems: Problems, *, start_time: float) -> None:
        self._path, self._problems, self._start_time = path, problems, start_time
        self._tracks = _Numbers()
        self._header: list[str] = []
        self._held: list[tuple[Floats, Floats]] = []
        self._last_time = -math.inf
        self._at_last: set[int] = set()
        self._relative: bool | None = None  # whether times count from the start; None before the first
        self.rows = 0

    def __iter__(self) -> Iterator[Samples]:
        try:
            with opened(self._path) as file:
                yield from self._samples(file)
        except DAMAGED as error:
            self._problems.add(None, damage(error))
        except OSError as error:
            self._problems.add(None, f"cannot be read: {error.strerror or error}")

    def _samples(self, file: IO[bytes]) -> Iterator[Samples]:
        table = np.empty((0, 9))
        for first, lines in _blocks(file, self._problems):
            if not self._header:
                if self._problems:
                    return  # what should have been the header cannot be read
                skipped = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
                if skipped == len(lines):
                    continue
                if not self._read_header(lines[skipped], first + skipped):
                    return
                first, lines = first + skipped + 1, lines[skipped + 1 :]
            rows = self._numbers(first, lines)
            self.rows += len(rows)
            if self._problems or not len(rows):
                continue
            table = np.concatenate((table, rows))
            # The last instant may go on in the next block.
            whole = int(np.searchsorted(table[:, 0], table[-1, 0]))
            if whole:
                yield self._as_samples(table[:whole])
                table = table[whole:]
        if not self._header and not self._problems:
            self._problems.add(None, f"the file is empty, expected the columns {','.join(COLUMNS)}")
        if len(table) and not self._problems:
            yield self._as_samples(table)

    def _read_header(self, line: str, number: int) -> bool:
        try:
            header = columns(line)
        except csv.Error as error:
            self._problems.add(number, f"not a row of CSV: {error}")
            return False
        wrong = column_problems(header, needed=COLUMNS, optional=OPTIONAL_COLUMNS)
        for text in wrong:
            self._problems.add(number, text)
        known = (*COLUMNS, *OPTIONAL_COLUMNS)
        self._header = header
        self._numeric = [index for index, column in enumerate(header) if column not in ("track", "kind")]
        self._order = [header.index(column) if column in header else -1 for column in known]
        return not wrong

    def _numbers(self, first: int, lines: Sequence[str]) -> Floats:
        """Return the rows of some lines as numbers (N, 9); line by line where one of them is wrong."""
        parts = []
        for at in range(0, len(lines), LINES_AT_ONCE):
            some = lines[at : at + LINES_AT_ONCE]
            rows = self._fast(some)
            parts.append(self._careful(first + at, some) if rows is None else rows)
        return np.concatenate(parts) if parts else np.empty((0, 9))

    def _fast(self, lines: Sequence[str]) -> Floats | None:
        """Return all lines as numbers, or None if any is not a sound row that follows the one before."""
        joined, width = ",".join(lines), len(self._header)
        cells = joined.split(",")
        # Were one line longer and another shorter, the kinds between them would stand in the wrong column.
        if '"' in joined or len(cells) != len(lines) * width:
            return None
        if " " in joined or "\t" in joined:
            cells = [cell.strip() for cell in cells]
        if "_" in joined and any("_" in ",".join(cells[at::width]) for at in self._numeric):
            return None
        numbers = np.empty((len(lines), 9))
        try:
            for target, source in enumerate(self._order):
                numbers[:, target] = self._column(target, cells[source::width]) if source >= 0 else math.nan
        except (ValueError, KeyError):
            return None
        return numbers if self._sound(numbers) else None

    def _column(self, target: int, texts: Sequence[str]) -> Floats:
        number: Callable[[str], float] = float
        if target == 1:
            number = self._tracks.__getitem__
        elif target == 2:
            number = _CODES.__getitem__
        elif target in (5, 8) and "" in texts:
            texts = [text or "nan" for text in texts]
        return np.fromiter(map(number, texts), np.float64, len(texts))

    def _sound(self, numbers: Floats) -> bool:
        """Shift relative times; return whether values are in range, times sorted and tracks once each."""
        time, heading, sigma = numbers[:, 0], numbers[:, 5], numbers[:, 8]
        position, size = numbers[:, 3:5], numbers[:, 6:8]
        if (
            not ((time > -RELATIVE_BELOW_S) & (time <= LATEST_S)).all()
            or not (np.abs(position) <= LARGEST_M).all()
            or not ((size >= 0) & (size <= LARGEST_SIZE_M)).all()
            or np.isinf(heading).any()
            or (sigma < 0).any()
            or np.isinf(sigma).any()
            or "" in self._tracks
        ):
            return False
        relative = time < RELATIVE_BELOW_S
        if relative.any() != relative.all() or self._relative not in (None, bool(relative[0])):
            return False
        time[relative] += self._start_time
        if time[0] < self._last_time or (np.diff(time) < 0).any():
            return False
        if not self._each_once(numbers):
            return False
        self._relative = bool(relative[0])
        return True

    def _each_once(self, numbers: Floats) -> bool:
        time, track = numbers[:, 0], numbers[:, 1]
        order = np.lexsort((track, time))
        if ((np.diff(time[order]) == 0) & (np.diff(track[order]) == 0)).any():
            return False
        beginning = int(np.searchsorted(time, time[0], side="right"))
        if time[0] == self._last_time and self._at_last & set(track[:beginning].astype(int).tolist()):
            return False
        ending = set(track[int(np.searchsorted(time, time[-1])) :].astype(int).tolist())
        self._at_last = ending | self._at_last if time[-1] == self._last_time else ending
        self._last_time = float(time[-1])
        return True

    def _careful(self, first: int, lines: Sequence[str]) -> Floats:
        """Name what is wrong with each line."""
        found = []
        for number, line in enumerate(lines, start=first):
            if not line.strip():
                continue
            try:
                cells = [cell.strip() for cell in next(csv.reader([line], strict=True), [])]
            except csv.Error as error:
                self._problems.add(number, f"not a row of CSV: {error}")
                continue
            if len(cells) != len(self._header):
                self._problems.add(
                    number, f"{len(cells)} values, expected {len(self._header)} ({','.join(self._header)})"
                )
                continue
            row = self._row(number, dict(zip(self._header, cells, strict=True)))
            if row is not None:
                found.append(row)
        return np.asarray(found, dtype=np.float64).reshape(len(found), 9)

    def _row(self, number: int, row: dict[str, str]) -> list[float] | None:
        texts: list[str] = []
        values = [_value(name, row.get(name, ""), texts) for name in (*COLUMNS, *OPTIONAL_COLUMNS)]
        if not row["track"]:
            texts.append("track is empty, expected a name or a number")
        for text in texts:
            self._problems.add(number, text)
        track = self._tracks[row["track"]]
        if math.isnan(values[0]):
            return None
        relative = values[0] < RELATIVE_BELOW_S
        if self._relative not in (None, relative):
            self._problems.add(
                number, f"time {row['time']}: seconds from the start and seconds UTC are mixed, expected one"
            )
            return None
        self._relative = relative
        time = utc(values[0], self._start_time)
        if time < self._last_time:
            self._problems.add(
                number, f"time {row['time']} comes before that of the row above, expected sorted rows"
            )
            return None
        if time > self._last_time:
            self._last_time, self._at_last = time, set()
        if texts:
            return None
        if track in self._at_last:
            self._problems.add(
                number, f"a second row for track {shortened(row['track'])} at time {row['time']}"
            )
            return None
        self._at_last.add(track)
        return [time, float(track), *values[2:]]

    def _as_samples(self, table: Floats) -> Samples:
        return Samples(
            time=table[:, 0],
            track=table[:, 1].astype(np.int64),
            kind=table[:, 2].astype(np.int8),
            x=table[:, 3],
            y=table[:, 4],
            heading_deg=table[:, 5],
            length_m=table[:, 6],
            width_m=table[:, 7],
            sigma_m=table[:, 8],
            time_sigma_s=np.full(len(table), TIME_SIGMA_S),
            trusted=np.ones(len(table), dtype=bool),
        )


def _value(name: str, text: str, problems: list[str]) -> float:
    """Return a cell as a number, NaN with a line in ``problems`` where it is wrong."""
    if name == "track":
        return math.nan
    if name == "kind":
        if text not in _CODES:
            problems.append(f"kind {shortened(text)} is not one of {', '.join(KINDS)}")
        return _CODES.get(text, math.nan)
    if name in ("heading_deg", "sigma_m") and text.lower() in ("", "nan"):
        return math.nan
    try:
        # Python's float() also takes "1_0", which no tool that wrote the file meant.
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    low, high, unit = {
        "x": (-LARGEST_M, LARGEST_M, "metres"),
        "y": (-LARGEST_M, LARGEST_M, "metres"),
        "length_m": (0.0, LARGEST_SIZE_M, "metres"),
        "width_m": (0.0, LARGEST_SIZE_M, "metres"),
        "sigma_m": (0.0, LARGEST_M, "metres"),
    }.get(name, (-math.inf, math.inf, "seconds" if name == "time" else "degrees"))
    if not math.isfinite(value):
        problems.append(f"{name} {shortened(text)} is not a finite number of {unit}")
    elif name == "time" and (wrong := time_problem(value)) is not None:
        problems.append(f"time {shortened(text)} {wrong}")
        return math.nan
    elif not low <= value <= high:
        problems.append(f"{name} {text} is not between {low:g} and {high:g} {unit}")
    return value


def _blocks(file: IO[bytes], problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line, lines) a few megabytes at a time.

    A line too long or not UTF-8 is named and left empty; never more than a block of it is in memory.
    """
    number, rest, dropped, wrong = 1, b"", 0, None
    while block := file.read(BLOCK_BYTES):
        if number == 1 and not rest and not dropped:
            wrong = strange(block[:HEAD_BYTES])
        if wrong is not None:
            problems.add(None, wrong)
            return
        if dropped:
            end = block.find(b"\n")
            if end < 0:
                dropped += len(block)
                continue
            problems.add(number, f"a line of {dropped + end} bytes, expected at most {LONGEST_ROW}")
            number, dropped, block = number + 1, 0, block[end + 1 :]
        data = rest + block
        end = data.rfind(b"\n")
        whole, rest = (data[:end], data[end + 1 :]) if end >= 0 else (b"", data)
        if end >= 0:
            lines = _decoded(whole, number, problems)
            yield number, lines
            number += len(lines)
        if len(rest) > LONGEST_ROW:
            dropped, rest = len(rest), b""
    if dropped:
        problems.add(number, f"a line of {dropped} bytes, expected at most {LONGEST_ROW}")
    if rest:
        yield number, _decoded(rest, number, problems)


def _decoded(data: bytes, first: int, problems: Problems) -> list[str]:
    try:
        # Windows' ends of lines: a name in the last column must not end in one.
        lines = data.decode().replace("\r\n", "\n").removesuffix("\r").split("\n")
        if len(data) <= LONGEST_ROW or max(map(len, lines)) <= LONGEST_ROW:
            return lines
    except UnicodeDecodeError:
        pass
    lines = []
    for number, raw in enumerate(data.split(b"\n"), start=first):
        text = ""
        if len(raw) > LONGEST_ROW:
            problems.add(number, f"a line of {len(raw)} bytes, expected at most {LONGEST_ROW}")
        else:
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                problems.add(number, f"byte {error.start + 1} is not UTF-8")
        lines.append(text)
    return lines
