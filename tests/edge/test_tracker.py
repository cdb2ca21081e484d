"""What any tracker must do, on golden sequences: cross, hide, flicker, stand, and come late."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest

from edge.tracker import RoadUserTracker, Track, Tracker
from models.detections import KINDS, Detections, Kind

Box = tuple[float, float, float, float]
Shown = tuple[Kind, Box, float]


def frame(shown: Iterable[Shown]) -> Detections:
    rows = list(shown)
    return Detections(
        np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in rows], np.float32),
        np.array([KINDS.index(kind) for kind, _, _ in rows], np.int8),
    )


def person(x: float, y: float = 200.0, score: float = 0.8) -> Shown:
    return ("pedestrian", (x, y, x + 24, y + 64), score)


def car(x: float, y: float = 180.0, score: float = 0.8, kind: Kind = "car") -> Shown:
    return (kind, (x, y, x + 120, y + 56), score)


def run(
    frames: Sequence[Iterable[Shown]], *, times: Sequence[float] | None = None, rate_hz: float = 10.0
) -> list[tuple[Track, ...]]:
    tracker: RoadUserTracker = Tracker()
    instants = [index / rate_hz for index in range(len(frames))] if times is None else times
    return [tracker.update(frame(shown), time) for shown, time in zip(frames, instants, strict=True)]


def numbers(history: list[tuple[Track, ...]]) -> set[int]:
    return {track.number for tracks in history for track in tracks if track.confirmed}


def following(history: list[tuple[Track, ...]], detection: int) -> set[int]:
    """Return the numbers of the confirmed tracks a detection was given to."""
    return {t.number for tracks in history for t in tracks if t.confirmed and t.detection == detection}


def test_two_who_cross_keep_their_numbers() -> None:
    history = run([[person(40 + 9 * i), person(400 - 9 * i, 214)] for i in range(40)])
    assert numbers(history) == {1, 2}
    assert len(following(history, 0)) == len(following(history, 1)) == 1


def test_who_is_hidden_for_half_a_second_comes_back_as_the_same() -> None:
    history = run([[person(40 + 6 * i)] if not 20 <= i < 25 else [] for i in range(50)])
    assert numbers(history) == {1}
    hidden = [tracks[0] for tracks in history[20:25]]
    assert all(track.detection is None for track in hidden)
    assert [round(track.box_px[0]) for track in hidden] == pytest.approx([160, 166, 172, 178, 184], abs=6)


def test_dropped_detections_and_low_scores_do_not_break_a_track() -> None:
    rng = np.random.default_rng(5)
    shown = [
        [] if rng.random() < 0.25 else [person(30 + 5 * i, score=float(rng.choice([0.3, 0.5, 0.8])))]
        for i in range(80)
    ]
    assert numbers(run(shown)) == {1}


def test_a_gap_of_seconds_ends_a_track() -> None:
    times = [i / 10 for i in range(20)] + [12.0 + i / 10 for i in range(20)]
    history = run([[person(40 + 3 * i)] for i in range(40)], times=times)
    assert numbers(history) == {1, 2}


@pytest.mark.parametrize(
    "interval_s",
    [
        pytest.param(lambda rng: 0.1, id="10 frames a second"),
        pytest.param(lambda rng: 1 / 29.97, id="29.97 frames a second"),
        pytest.param(lambda rng: float(rng.choice([0.04, 0.06, 0.1, 0.2])), id="an unsteady camera"),
    ],
)
def test_any_frame_interval_will_do(interval_s: Callable[[np.random.Generator], float]) -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum([interval_s(rng) for _ in range(60)]).tolist()
    history = run([[person(20 + 40 * t), car(500 - 60 * t, 150)] for t in times], times=times)
    assert numbers(history) == {1, 2}


def test_a_single_false_box_is_never_confirmed() -> None:
    history = run([[person(40 + 4 * i), *([person(300, 50)] if i in (7, 8) else [])] for i in range(20)])
    assert numbers(history) == {1}
    assert all(not track.confirmed for tracks in history[:2] for track in tracks)


def test_a_track_that_is_lost_is_not_predicted_for_long() -> None:
    history = run([[person(40 + 8 * i)] if i < 20 else [] for i in range(60)])
    alone = [i for i, tracks in enumerate(history) if tracks and tracks[0].detection is None]
    assert alone[0] == 20
    assert 25 < alone[-1] <= 30


def test_a_parked_car_keeps_its_number_and_place_while_its_box_flickers() -> None:
    rng = np.random.default_rng(2)
    shown = [
        [] if i > 20 and i % 40 < 22 else [car(200 + rng.normal(), 180 + rng.normal())] for i in range(200)
    ]
    history = run(shown)
    assert numbers(history) == {1}
    held = [tracks[0] for tracks in history[40:] if tracks]
    assert len(held) > 155
    assert all(track.still for track in held)
    assert np.ptp([track.box_px[0] for track in held]) < 8


def test_somebody_before_a_parked_car_does_not_inherit_it() -> None:
    """While the car's box is missing, the only box near is that of the pedestrian who passes before it."""
    shown: list[list[Shown]] = []
    for i in range(60):
        walker = [person(60 + 6 * i, 185)]
        shown.append(walker if 18 <= i < 40 and i % 2 else [*walker, car(200)])
    history = run(shown)
    assert {(t.number, t.kind) for tracks in history for t in tracks if t.confirmed} == {
        (1, "pedestrian"),
        (2, "car"),
    }


def test_the_class_is_that_of_most_frames() -> None:
    flicker: list[Kind] = ["bus", "truck", "bus", "car", "bus"]
    history = run([[car(40 + 6 * i, kind=flicker[i % 5])] for i in range(50)])
    assert numbers(history) == {1}
    assert {track.kind for tracks in history[10:] for track in tracks} == {"bus"}


def test_a_cyclist_stays_one_where_only_the_rider_is_seen() -> None:
    def riding(i: int) -> list[Shown]:
        x = 40.0 + 7 * i
        rider: Shown = ("pedestrian", (x + 10, 150.0, x + 40, 220.0), 0.8)
        bicycle: Shown = ("bicycle", (x, 190.0, x + 52, 232.0), 0.6)
        return [rider, bicycle] if i % 3 == 0 else [rider]

    history = run([riding(i) for i in range(45)])
    assert numbers(history) == {1}
    assert {track.kind for tracks in history[8:] for track in tracks} == {"bicycle"}


def test_detections_are_named_by_their_index_in_the_frame() -> None:
    history = run([[car(300, score=0.9), person(40 + 4 * i)] for i in range(10)])
    assert {(track.kind, track.detection) for track in history[-1]} == {("car", 0), ("pedestrian", 1)}


def test_numbers_are_small_and_in_the_order_of_appearance() -> None:
    history = run([[person(40 + 4 * i), *([person(400 - 4 * i, 80)] if i > 8 else [])] for i in range(30)])
    assert [track.number for track in history[-1]] == [1, 2]


def test_frames_without_anybody_are_no_trouble() -> None:
    assert run([[], [], [], []]) == [(), (), (), ()]


def test_two_frames_of_the_same_instant_are_taken_one_after_the_other() -> None:
    history = run(
        [[person(40)], [person(42)], [person(42)], [person(44)], [person(46)]], times=[0, 0.1, 0.1, 0.2, 0.3]
    )
    assert numbers(history) == {1}


def test_the_same_boxes_give_the_same_tracks() -> None:
    rng = np.random.default_rng(8)
    shown = [[person(40 + 4 * i + rng.normal()), car(300 - 3 * i, 150)] for i in range(30)]
    assert run(shown) == run(shown)
