"""At a border no event is told twice or lost, and a track goes on under one number."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from broker.wire import LocalEvent
from edge.results import TRACKS_HEADER
from edge.study.border import joined, same_tracks

BORDER = 1000.0


def event(n: int, time: float, *, place: str = "N", caused_by: int | None = None) -> LocalEvent:
    return LocalEvent(
        n=n,
        site="made",
        node="analyze",
        rule="near_miss" if caused_by else "red_light_entry",
        outcome="occurred",
        time=datetime.fromtimestamp(time, UTC),
        time_sigma_s=0.1,
        place=place,
        road_user="car",
        measures={},
        signal=None,
        clip=None,
        caused_by=caused_by,
        detector="made",
        software="nearmiss 0.1.0",
    )


def told(first: list[LocalEvent], second: list[LocalEvent]) -> list[tuple[int, float, int | None]]:
    found = joined([(0.0, BORDER, first), (BORDER, 2000.0, second)])
    return [(each.n, each.time.timestamp(), each.caused_by) for each in found]


def test_what_both_saw_is_told_once_in_the_words_of_whose_side_it_lies_on() -> None:
    assert told([event(1, 999.8)], [event(1, 999.9)]) == [(1, 999.8, None)]
    assert told([event(1, 1000.3)], [event(1, 1000.2)]) == [(1, 1000.2, None)]


def test_a_border_between_two_instants_of_one_event_neither_doubles_nor_loses_it() -> None:
    assert told([event(1, 999.9)], [event(1, 1000.1)]) == [(1, 999.9, None)]
    assert told([event(1, 1000.1)], [event(1, 999.9)]) == [(1, 999.9, None)]


def test_two_events_at_a_border_are_two() -> None:
    assert told([event(1, 999.5), event(2, 999.9)], [event(1, 999.5), event(2, 999.9)]) == [
        (1, 999.5, None),
        (2, 999.9, None),
    ]
    assert told([event(1, 999.9)], [event(1, 1000.0, place="S")]) == [(1, 999.9, None), (2, 1000.0, None)]


def test_warm_up_and_tail_are_thrown_away() -> None:
    assert told([event(1, 500.0), event(2, 1005.0)], [event(1, 992.0), event(2, 1500.0)]) == [
        (1, 500.0, None),
        (2, 1500.0, None),
    ]


def test_a_cause_on_the_other_side_of_the_border_keeps_its_number() -> None:
    first = [event(1, 400.0), event(2, 999.0)]
    second = [event(1, 999.1), event(2, 1000.5, caused_by=1)]
    assert told(first, second) == [(1, 400.0, None), (2, 999.0, None), (3, 1000.5, 2)]


def tracks(path: Path, *rows: tuple[float, int, float, float]) -> Path:
    lines = [f"{time:.3f},{track},car,{x:.3f},{y:.3f},0.0,4.40,1.80,0.100\n" for time, track, x, y in rows]
    path.write_text(TRACKS_HEADER + "".join(lines))
    return path


def test_a_track_is_known_again_by_where_it_was_in_the_frames_both_saw(tmp_path: Path) -> None:
    times = [998.5 + step / 10 for step in range(30)]
    first = tracks(
        tmp_path / "a.csv",
        *((time, 7, time - BORDER, 0.0) for time in times),
        *((time, 8, 5.0, 5.0) for time in times),
    )
    second = tracks(
        tmp_path / "b.csv",
        *((time, 1, 5.1, 5.0) for time in times),
        *((time, 2, time - BORDER + 0.1, 0.1) for time in times),
        *((time, 3, 5.0, 9.0) for time in times),
    )
    assert same_tracks(first, second, BORDER) == {1: 8, 2: 7}
