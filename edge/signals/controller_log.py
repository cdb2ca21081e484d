"""The file of a controller's high-resolution log: CSV in the layout of UDOT and others, or Parquet."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from calibration.site import Site
from edge.errors import InputError
from edge.signals.controller import ControllerReading, Event, read_events
from edge.signals.header import SEPARATORS, columns
from edge.signals.lines import Problems, shortened, text_lines
from edge.signals.seconds import LATEST_S, time_problem, utc

LONGEST_ROW = 10_000
# A column's name without blanks, case and punctuation → what it is, as the known exports write it.
COLUMN_NAMES = {
    "device": ("signalid", "deviceid", "signalidentifier", "locationidentifier", "intersectionid"),
    "time": ("timestamp", "time", "datetime", "eventtime"),
    "code": ("eventcode", "eventid", "eventcodeid", "code"),
    "parameter": ("eventparameter", "eventparam", "parameter", "param"),
}
NEEDED = ("time", "code", "parameter")
_US_TIME = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})[ T](\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?: ?([AaPp])[Mm])?"
)


@dataclass(frozen=True, slots=True)
class Columns:
    """The names a file gives to the columns that matter; ``device`` is None where it has none."""

    time: str
    code: str
    parameter: str
    device: str | None


def is_log_header(line: str) -> bool:
    """Tell whether a first row is that of a log, complete or not: it names an event's code or parameter."""
    return any(
        re.sub(r"[^a-z0-9]", "", cell.lower()) in (*COLUMN_NAMES["code"], *COLUMN_NAMES["parameter"])
        for cell in re.split(r"[,;\t]", line)
    )


def columns_of(names: list[str]) -> Columns | list[str]:
    """Return which columns are which, or what is wrong with them, one line each."""
    for separator, written in SEPARATORS.items():
        if len(names) == 1 and separator in names[0]:
            return [f"its values are separated by {written}, expected commas"]
    found: dict[str, str] = {}
    wrong = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        for meaning, names_of_it in COLUMN_NAMES.items():
            if plain not in names_of_it:
                continue
            if meaning in found:
                wrong.append(f"columns {found[meaning]!r} and {shortened(name)} both say the {meaning}")
            found[meaning] = name
    for meaning in NEEDED:
        if meaning not in found:
            wrong.append(
                f"no column for the event's {meaning}, expected one of {', '.join(COLUMN_NAMES[meaning])}"
            )
    if wrong:
        return wrong
    return Columns(found["time"], found["code"], found["parameter"], found.get("device"))


def load_controller_log(path: Path, *, site: Site, start_time: float) -> ControllerReading:
    """Read a log; times without a zone are those of the site's time zone.

    Raises:
        InputError: every mistake in the file at once, as ``file:line: what came, what was expected``.
    """
    problems = Problems(path)
    if not site.controller_phases:
        raise InputError(
            f"{path}: a controller log, but the site file has no [[controller_phases]] that say "
            "which phase drives which signal_group"
        )
    reader = _Rows(problems, site=site, start_time=start_time)
    rows = _parquet_rows(path, problems) if is_parquet(path) else _csv_rows(path, problems)
    reading = read_events(reader.events(rows), site)
    if not reader.count and not problems:
        problems.add(None, "the log is empty")
    reader.check_devices()
    problems.raise_if_any()
    return reading


def is_parquet(path: Path) -> bool:
    """Tell by its first bytes whether a file is Parquet."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    device: str | None
    time: str | datetime
    code: str
    parameter: str


class _Rows:
    """Checks rows and gives their events in UTC."""

    def __init__(self, problems: Problems, *, site: Site, start_time: float) -> None:
        self.count = 0
        self._problems = problems
        self._site = site
        self._start_time = start_time
        self._devices: set[str] = set()
        self._local = LocalClock(site.zone)

    def events(self, rows: Iterator[_Row]) -> Iterator[Event]:
        wanted = self._site.controller.device
        previous_s = -math.inf
        for row in rows:
            self.count += 1
            if row.device is not None:
                if row.device in ("", "None"):
                    self._problems.add(row.number, "the device is empty, expected its number")
                    continue
                if wanted is not None and not _same_device(row.device, wanted):
                    self._devices.add(row.device)
                    continue
                self._devices.add(str(wanted) if wanted is not None else row.device)
            time = self._time(row)
            code = self._whole(row.code, "event code", row.number)
            parameter = self._whole(row.parameter, "event parameter", row.number)
            if time is None or code is None or parameter is None:
                continue
            if time < previous_s:
                self._problems.add(
                    row.number, f"time {row.time} comes before that of the row above, expected sorted rows"
                )
                continue
            previous_s = time
            yield Event(time, code, parameter)

    def check_devices(self) -> None:
        """Complain of a log of several controllers, or of another one."""
        wanted, found = self._site.controller.device, ", ".join(sorted(self._devices)[:10])
        if wanted is None and len(self._devices) > 1:
            self._problems.add(
                None, f"a log of several controllers ({found}), expected controller.device in the site file"
            )
        if wanted is not None and self._devices and str(wanted) not in self._devices:
            self._problems.add(None, f"no rows of controller.device {wanted}, only of {found}")

    def _time(self, row: _Row) -> float | None:
        try:
            moment = row.time if isinstance(row.time, datetime) else _moment(row.time)
            if isinstance(moment, float):
                wrong = time_problem(moment)
                time = utc(moment, self._start_time)
            else:
                time = moment.timestamp() if moment.tzinfo else self._local.utc(moment)
                wrong = None if 0 <= time <= LATEST_S else "lies outside the years 1970 to 2100"
            if wrong is not None:
                self._problems.add(row.number, f"time {shortened(str(row.time))} {wrong}")
                return None
            return time
        except (ValueError, OverflowError) as error:
            reason = f": {error}" if "zone" in str(error) else ""
            self._problems.add(row.number, f"time {shortened(str(row.time))} is not a date and time{reason}")
            return None

    def _whole(self, text: str, name: str, number: int) -> int | None:
        try:
            value = float(text)
            if value == int(value) and 0 <= value <= 1e6 and "_" not in text:
                return int(value)
        except (ValueError, OverflowError):
            pass
        self._problems.add(number, f"{name} {shortened(text)} is not a whole number")
        return None


class LocalClock:
    """Turns a controller's wall-clock times, in order, into seconds UTC.

    In the hour that autumn has twice, a time is of the second pass where the rows would else run back.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._latest_s = -math.inf

    def utc(self, wall: datetime) -> float:
        """Return seconds UTC.

        Raises:
            ValueError: a time that the zone's clocks never showed (spring's missing hour).
        """
        first, second = (wall.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        time = first.timestamp()
        if first.utcoffset() != second.utcoffset():
            if first.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) != wall:
                raise ValueError(f"the time zone {self._zone.key} skips this hour")
            if time < self._latest_s:
                time = second.timestamp()
        self._latest_s = max(self._latest_s, time)
        return time


def _moment(text: str) -> datetime | float:
    """Return a date and time (with a zone only if the text has one), or a number of seconds."""
    text = text.strip()
    match = _US_TIME.fullmatch(text)
    if match is None:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            number = float(text)
            if not math.isfinite(number) or "_" in text:
                raise
            return number
    month, day, year, hour, minute, second = (int(part) for part in match.groups()[:6])
    if match[8]:
        if not 1 <= hour <= 12:
            raise ValueError("not an hour of a twelve-hour clock")
        hour = hour % 12 + (12 if match[8] in "pP" else 0)
    fraction_s = float(f"0.{match[7]}") if match[7] else 0.0
    return datetime(year, month, day, hour, minute, second) + timedelta(seconds=fraction_s)


def _same_device(text: str, wanted: int) -> bool:
    try:
        return float(text) == wanted
    except ValueError:
        return False


def _csv_rows(path: Path, problems: Problems) -> Iterator[_Row]:
    header: list[str] | None = None
    known: Columns | None = None
    for number, text in text_lines(path, problems, longest=LONGEST_ROW):
        if header is None and problems:
            return  # what should have been the header cannot be read
        if not text.strip():
            continue
        try:
            cells = columns(text)
        except csv.Error as error:
            problems.add(number, f"not a row of CSV: {error}")
            continue
        if header is None or known is None:
            header = cells
            found = columns_of(header)
            if isinstance(found, list):
                for wrong in found:
                    problems.add(number, wrong)
                return
            known = found
            continue
        if len(cells) != len(header):
            problems.add(number, f"{len(cells)} values, expected {len(header)} ({','.join(header)})")
            continue
        row = dict(zip(header, cells, strict=True))
        device = row[known.device] if known.device else None
        yield _Row(number, device, row[known.time], row[known.code], row[known.parameter])


def _parquet_rows(path: Path, problems: Problems) -> Iterator[_Row]:
    from edge.signals.parquet import parquet_columns, parquet_rows

    known = columns_of(parquet_columns(path))
    if isinstance(known, list):
        for wrong in known:
            problems.add(None, wrong)
        return
    wanted = [known.time, known.code, known.parameter, *([known.device] if known.device else [])]
    for number, (time, code, parameter, *device) in enumerate(parquet_rows(path, wanted), start=1):
        name = str(device[0]) if device else None
        moment = time if isinstance(time, datetime) else str(time)
        yield _Row(number, name, moment, str(code), str(parameter))
