"""The files of a study: what was named on the command line, in a manifest, and when each begins."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.errors import InputError
from edge.sources.extent import extent
from edge.study.ledger import FileRow, Ledger
from edge.study.timeline import Recording

MANIFEST_COLUMNS = ("video", "start", "times", "signals")
BLOCK = 1 << 20
READERS = 2


@dataclass(frozen=True, slots=True)
class Named:
    """One file as a person named it; ``start`` is None where nobody told when it begins."""

    path: Path
    start: float | None = None
    times: Path | None = None
    signals: Path | None = None


def named(files: Sequence[Path], *, start_pattern: str | None, zone: ZoneInfo) -> list[Named]:
    """Return the recordings that files and manifests (.csv) name, each once.

    Args:
        start_pattern: how a file's name tells its start, such as ``cam1_%Y-%m-%d_%H-%M-%S`` (strptime); it is
            in the site's zone unless it has a ``%z``.

    Raises:
        InputError: every mistake of all of them.
    """
    problems: list[str] = []
    found: dict[Path, Named] = {}
    for file in files:
        for where, each, problem in _each(file, zone):
            if problem is not None:
                problems.append(f"{where}: {problem}")
                continue
            assert each is not None
            start = each.start
            if start is None and start_pattern is not None and file.suffix != ".csv":
                try:
                    start = _start(each.path.stem, start_pattern, zone)
                except ValueError:
                    problems.append(f"{each.path}: its name does not tell a time as {start_pattern!r} does")
            missing = [path for path in (each.path, each.times, each.signals) if path and not path.is_file()]
            problems += [f"{where}: {path}: no such file" for path in missing]
            if each.path in found:
                problems.append(f"{where}: {each.path} is named twice")
            found[each.path] = Named(each.path, start, each.times, each.signals)
    if not found and not problems:
        problems.append("no recordings: name files, or a manifest (.csv) with the column video")
    if problems:
        raise InputError(problems)
    return list(found.values())


def _each(file: Path, zone: ZoneInfo) -> Iterator[tuple[str, Named | None, str | None]]:
    """Yield where it is said, what is named, and what is wrong with it."""
    if file.suffix != ".csv":
        yield str(file), Named(file), None
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            columns = reader.fieldnames or []
            unknown = [name for name in columns if name not in MANIFEST_COLUMNS]
            if "video" not in columns or unknown:
                wanted = "expected video, and optionally start, times, signals"
                yield str(file), None, f"columns {', '.join(columns) or 'none'}: {wanted}"
                return
            for row in reader:
                where = f"{file}:{reader.line_num}"
                if not row["video"] or None in row:
                    yield where, None, "expected a row with a video, and no more fields than columns"
                    continue
                try:
                    start = _instant(row.get("start"), zone)
                except ValueError as error:
                    yield where, None, str(error)
                    continue
                beside = {
                    name: file.parent / text if (text := row.get(name)) else None
                    for name in ("times", "signals")
                }
                yield (
                    where,
                    Named(file.parent / row["video"], start, beside["times"], beside["signals"]),
                    None,
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        yield str(file), None, f"cannot be read: {getattr(error, 'strerror', None) or error}"


def _instant(text: str | None, zone: ZoneInfo) -> float | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"start: {text!r} is no RFC 3339 time such as 2026-11-20T08:15:00Z") from None
    return (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()


def _start(stem: str, pattern: str, zone: ZoneInfo) -> float:
    time = datetime.strptime(stem, pattern)
    return (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()


def read_all(
    files: Sequence[Named], ledger: Ledger, *, done: Callable[[], None]
) -> tuple[list[Recording], list[FileRow]]:
    """Return the recordings and those files that are none; what the ledger knows is not read again.

    Args:
        done: called after each file.
    """
    recordings: list[Recording] = []
    unusable: list[FileRow] = []
    with ThreadPoolExecutor(READERS) as readers:
        states = [each.path.stat() for each in files]
        known = [
            ledger.file(str(each.path), bytes_=state.st_size, changed_ns=state.st_mtime_ns)
            for each, state in zip(files, states, strict=True)
        ]
        fresh = readers.map(lambda pair: pair[1] or read(pair[0].path), zip(files, known, strict=True))
        for each, row in zip(files, fresh, strict=True):
            ledger.keep_file(row)
            if row.problem is not None or row.image_size is None or row.duration_s is None:
                unusable.append(row)
            else:
                recordings.append(
                    Recording(
                        each.path,
                        start=each.start or 0.0,
                        duration_s=row.duration_s,
                        image_size=row.image_size,
                        sha256=row.sha256,
                        dated=each.start is not None,
                        times=each.times,
                        signals=each.signals,
                    )
                )
            done()
    return recordings, unusable


def read(path: Path) -> FileRow:
    """Return what a file holds, its hash included; whatever is wrong with it is in ``problem``."""
    state = path.stat()
    row = (str(path), state.st_size, state.st_mtime_ns)
    try:
        hash_ = sha256(path)
        found = extent(path)
    except InputError as error:
        return FileRow(*row, "", None, None, "; ".join(error.problems))
    except OSError as error:
        return FileRow(*row, "", None, None, f"{path}: cannot be read: {error.strerror or error}")
    if found.duration_s <= 0:
        return FileRow(*row, hash_, found.image_size, None, f"{path}: holds a single instant")
    return FileRow(*row, hash_, found.image_size, found.duration_s, None)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
