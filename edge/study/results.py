"""The results of a study: one `events.jsonl`, Parquet files, clips and a report, made from the stretches."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from broker.wire import LocalEvent, MeasureName
from edge.results import COUNTS_HEADER
from edge.study.border import joined, rows, same_tracks
from edge.study.ledger import FileRow, SegmentRow
from edge.study.planning import Segment
from edge.study.timeline import Sequence as Files
from edge.study.timeline import Stretch
from edge.study.work import FACTS, Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEASURES = get_args(MeasureName)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that is done, and the folder of its results."""

    files: Files
    stretch: Stretch
    folder: Path
    facts: dict[str, Any]


@dataclass
class Study:
    """What a study found.

    Attributes:
        events: each with the file it happened in, in order of sequence and time; numbered from 1.
        counts: (quarter's start, place, kind) to how many entered or crossed.
        parts: every stretch that is done.
        unusable, failed: files and segments that are not in it, and why.
    """

    events: list[tuple[Path, LocalEvent]] = field(default_factory=list)
    counts: Counter[tuple[float, str, str]] = field(default_factory=Counter)
    parts: list[Part] = field(default_factory=list)
    unusable: Sequence[FileRow] = ()
    failed: Sequence[SegmentRow] = ()

    @property
    def undecidable(self) -> int:
        return sum(event.outcome != "occurred" for _, event in self.events)

    @property
    def files(self) -> int:
        """How many files the judged stretches lie in."""
        return len(
            {
                each.path
                for part in self.parts
                for each in part.files.during(part.stretch.start, part.stretch.end)
            }
        )

    @property
    def seconds(self) -> float:
        return sum(part.stretch.end - part.stretch.start for part in self.parts)


def write(
    segments: Sequence[Segment],
    unusable: Sequence[FileRow],
    failed: Sequence[SegmentRow],
    *,
    settings: Settings,
    out: Path,
) -> Study:
    """Join what the stretches found and write it, whole files or none; return it."""
    from edge.study.report import write_report

    study = Study(unusable=unusable, failed=failed)
    study.parts = list(_parts(segments))
    with tempfile.TemporaryDirectory(dir=out, prefix=".unfinished-") as folder:
        unfinished = Path(folder)
        (unfinished / "tracks").mkdir()
        (unfinished / "clips").mkdir()
        for number, run in enumerate(_runs(study.parts)):
            _add_events(run, study, unfinished / "clips")
            _write_tracks(run, unfinished / "tracks" / f"{number:05}.parquet")
        _write_events(study, unfinished)
        _write_counts(study, unfinished)
        plates = [part.folder / "plate.json" for part in study.parts]
        if settings.clips != "none" and plates:
            shutil.copyfile(plates[0], unfinished / "plate.json")
        write_report(unfinished, study, settings)
        _keep(unfinished, out)
    return study


def _parts(segments: Sequence[Segment]) -> Iterator[Part]:
    for segment in segments:
        for key, stretch in segment.task.stretches:
            folder = segment.task.parts / key
            if folder.is_dir():
                facts = json.loads((folder / FACTS).read_text())
                yield Part(segment.task.sequence, stretch, folder, facts)


def _runs(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield runs of stretches that touch: where one is missing, its neighbours are not joined."""
    for _, group in groupby(parts, key=lambda part: part.files):
        run: list[Part] = []
        for part in group:
            if run and run[-1].stretch.end != part.stretch.start:
                yield run
                run = []
            run.append(part)
        yield run


def _add_events(run: Sequence[Part], study: Study, clips: Path) -> None:
    found = joined([(part.stretch.start, part.stretch.end, _events(part)) for part in run])
    before = len(study.events)
    for event in found:
        cause = event.caused_by
        moved = {"n": event.n + before, "caused_by": None if cause is None else cause + before}
        file = run[0].files.at(event.time.timestamp())
        study.events.append((file.path, event.model_copy(update=moved)))
        if event.clip is not None:
            source = next(
                path for part in run if (path := part.folder / "clips" / f"{event.clip}.json").exists()
            )
            shutil.copyfile(source, clips / source.name)
    for part in run:
        with (part.folder / "counts.csv").open(newline="") as lines:
            for row in csv.DictReader(lines):
                study.counts[float(row["start"]), row["place"], row["kind"]] += int(row["count"])


def _events(part: Part) -> list[LocalEvent]:
    lines = (part.folder / "events.jsonl").read_bytes().splitlines()
    return [LocalEvent.decode(line) for line in lines]


def _write_tracks(run: Sequence[Part], path: Path) -> None:
    """Write the tracks of a run of stretches, each under one number throughout."""
    csv_path = path.with_suffix(".csv")
    numbers: dict[int, int] = {}  # of the stretch at hand
    last = 0
    with csv_path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "track", "kind", "x", "y", "heading_deg", "length_m", "width_m", "sigma_m"])
        for index, part in enumerate(run):
            earlier = run[index - 1] if index else None
            same = (
                {}
                if earlier is None
                else same_tracks(
                    earlier.folder / "tracks.csv", part.folder / "tracks.csv", part.stretch.start
                )
            )
            numbers = {theirs: numbers[ours] for theirs, ours in same.items() if ours in numbers}
            for row in rows(part.folder / "tracks.csv"):
                time, track = float(row["time"]), int(row["track"])
                if not part.stretch.start <= time < part.stretch.end:
                    continue
                if track not in numbers:
                    last += 1
                    numbers[track] = last
                writer.writerow([row["time"], numbers[track], *list(row.values())[2:]])
    columns = {"time": "DOUBLE", "track": "BIGINT", "kind": "VARCHAR"}
    columns |= dict.fromkeys(("x", "y", "heading_deg", "length_m", "width_m", "sigma_m"), "DOUBLE")
    _copy(
        _database(),
        "SELECT * FROM read_csv(?, header=true, columns=" + json.dumps(columns) + ")",
        path,
        [str(csv_path)],
    )
    csv_path.unlink()


def _write_events(study: Study, folder: Path) -> None:
    with (folder / "events.jsonl").open("wb") as file:
        for _, event in study.events:
            file.write(event.encode() + b"\n")
    database = _database()
    database.execute(
        "CREATE TABLE events (n BIGINT, recording VARCHAR, time TIMESTAMPTZ, time_sigma_s DOUBLE,"
        " rule VARCHAR, outcome VARCHAR, place VARCHAR, road_user VARCHAR, road_user2 VARCHAR,"
        " signal_group VARCHAR, signal_state VARCHAR, signal_source VARCHAR, caused_by BIGINT, clip VARCHAR, "
        + ", ".join(f"{name} DOUBLE, {name}_sigma DOUBLE" for name in MEASURES)
        + ")"
    )
    for path, event in study.events:
        signal = event.signal
        values: list[Any] = [
            *(event.n, str(path), event.time.isoformat(), event.time_sigma_s, event.rule, event.outcome),
            *(event.place, event.road_user, event.road_user2),
            *((signal.group, signal.state, signal.source) if signal else (None, None, None)),
            *(event.caused_by, event.clip),
        ]
        for name in MEASURES:
            measure = event.measures.get(name)
            values += [measure.value, measure.sigma] if measure else [None, None]
        database.execute(f"INSERT INTO events VALUES ({', '.join('?' * len(values))})", values)
    _copy(database, "SELECT * FROM events ORDER BY n", folder / "events.parquet")


def _write_counts(study: Study, folder: Path) -> None:
    path = folder / "counts.csv"
    with path.open("w", encoding="ascii") as file:
        file.write(COUNTS_HEADER)
        for (start, place, kind), count in sorted(study.counts.items()):
            file.write(f"{start:.3f},{place},{kind},{count}\n")
    columns = json.dumps({"start": "DOUBLE", "place": "VARCHAR", "kind": "VARCHAR", "count": "BIGINT"})
    _copy(
        _database(),
        f"SELECT * FROM read_csv(?, header=true, columns={columns})",
        folder / "counts.parquet",
        [str(path)],
    )


def _database() -> DuckDBPyConnection:
    import duckdb

    database = duckdb.connect()
    # One thread writes the rows in their order: the same study gives the same bytes.
    database.execute("SET threads=1")
    database.execute("SET TimeZone='UTC'")
    return database


def _copy(database: DuckDBPyConnection, query: str, path: Path, values: Sequence[str] = ()) -> None:
    """Write the rows of a query as Parquet."""
    escaped = str(path).replace("'", "''")
    database.execute(f"COPY ({query}) TO '{escaped}' (FORMAT parquet, COMPRESSION zstd)", list(values))


def _keep(unfinished: Path, out: Path) -> None:
    """Move everything to its place; results of an earlier study give way."""
    for name in ("clips", "tracks"):
        earlier = out / f".earlier-{name}"
        shutil.rmtree(earlier, ignore_errors=True)
        if (out / name).exists():
            (out / name).replace(earlier)
        (unfinished / name).replace(out / name)
        shutil.rmtree(earlier, ignore_errors=True)
    for path in sorted(unfinished.iterdir()):
        path.replace(out / path.name)
