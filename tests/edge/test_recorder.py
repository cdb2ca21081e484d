"""The recorder: the seconds around an event, snapped, relative, and nothing of who was there."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.drawing import Clip, Glyph
from edge.clip import MAX_BYTES, spans
from edge.instants import Seen
from edge.keys import keys
from edge.recorder import Recorder
from edge.rules.finding import Finding
from edge.scene import Kind, RoadUser
from edge.sketch import SketchBox

from .drawn import SIZE, Lamps, pinhole, scene, site, sketch

EVENT = 100.0
Movement = Callable[[float], list[RoadUser]]


def finding(time: float = EVENT, tracks: tuple[int, ...] = (1,)) -> Finding:
    return Finding("red_light_entry", "occurred", time, 0.05, "N", "car", None, {}, 1.1, 20.0, tracks)


def user(track: int, kind: Kind, x: float, y: float, heading_deg: float = 90.0) -> RoadUser:
    u, v = pinhole().image((x, y))
    return RoadUser(track, kind, x, y, heading_deg, 4.4, 1.8, 0.1, None, (float(u), float(v)))


def two_users(time: float) -> list[RoadUser]:
    """A car northbound at 2 m/s, at y = 20 m at the event, and a pedestrian who stands."""
    return [user(1, "car", 0.0, 20.0 + 2.0 * (time - EVENT)), user(2, "pedestrian", 5.0, 18.0, math.nan)]


def recorded(
    movement: Movement = two_users,
    *,
    rate_hz: float = 25.0,
    start: float = EVENT - 8,
    end: float = EVENT + 8,
    lamps: Lamps | None = None,
    faulty: tuple[float, float] = (0.0, 0.0),
    moved: bool = True,
    seed: int = 1,
) -> Recorder:
    """Return a recorder that saw a movement; every road user has a box, in the order given."""
    recorder = Recorder(site(pinhole()), image_size=SIZE, rng=random.Random(seed))
    for n in range(round((end - start) * rate_hz) + 1):
        time = start + n / rate_hz
        users = [
            RoadUser(**{**_fields(each), "detection": place}) for place, each in enumerate(movement(time))
        ]
        boxes = tuple(_box(each, moved) for each in users)
        blank = faulty[0] <= time < faulty[1]
        recorder.add(sketch(time, *(() if blank else boxes), faulty=blank), scene(time, *users, lamps=lamps))
    return recorder


def _fields(each: RoadUser) -> dict[str, object]:
    return {name: getattr(each, name) for name in RoadUser.__slots__}


def _box(each: RoadUser, moved: bool) -> SketchBox:
    assert each.px is not None
    u, v = (4 * round(n / 4) for n in each.px)
    return SketchBox(u - 16, v - 60, u + 16, v, each.kind, moved)


def clip_from(recorder: Recorder, found: Finding | None = None) -> Clip:
    recorder.hold(finding() if found is None else found)
    ((_, clip),) = recorder.flush()
    assert clip is not None
    return clip


def place(glyph: Glyph, step: float) -> tuple[float, float]:
    """Return where a glyph is in metres, as the player draws it."""
    before = [key for key in glyph.keys if key[0] <= step][-1]
    after = next((key for key in glyph.keys if key[0] > step), before)
    share = 0.0 if after[0] == before[0] else (step - before[0]) / (after[0] - before[0])
    assert before[3] is not None and before[4] is not None and after[3] is not None and after[4] is not None
    return (
        0.25 * (before[3] + share * (after[3] - before[3])),
        0.25 * (before[4] + share * (after[4] - before[4])),
    )


def test_a_finding_waits_for_the_seconds_after_it() -> None:
    recorder = recorded(end=EVENT + 4.9)
    recorder.hold(finding())
    assert recorder.due(EVENT + 4.9) == []
    recorder.add(sketch(EVENT + 5.0), scene(EVENT + 5.0))
    assert [found for found, _ in recorder.due(EVENT + 5.0)] == [finding()]
    assert recorder.flush() == []


def test_findings_come_in_the_order_they_fall_due() -> None:
    recorder = recorded()
    for time in (EVENT + 1, EVENT - 1, EVENT):
        recorder.hold(finding(time))
    assert [found.time for found, _ in recorder.due(EVENT + 7)] == [EVENT - 1, EVENT, EVENT + 1]


def test_a_clip_spans_five_seconds_on_either_side() -> None:
    clip = clip_from(recorded())
    assert (clip.start_s, clip.step_s, clip.steps, clip.blanks) == (-5.0, 0.1, 101, ())


def test_a_car_is_drawn_where_it_was() -> None:
    car = clip_from(recorded()).glyphs[0]
    assert (car.kind, car.role, car.number) == ("car", "first", None)
    for step in range(101):
        x, y = place(car, step)
        assert abs(x) <= 0.25
        assert y == pytest.approx(20.0 + 0.2 * (step - 50), abs=0.33)
    assert {key[5] for key in car.keys} == {6}


def test_who_stands_has_two_keys_and_no_heading() -> None:
    walker = clip_from(recorded()).glyphs[1]
    assert (walker.kind, walker.role, walker.number) == ("pedestrian", "other", 1)
    assert [(key[0], key[3], key[4], key[5]) for key in walker.keys] == [(0, 20, 72, -1), (100, 20, 72, -1)]


@pytest.mark.parametrize("rate_hz", [4.0, 10.0, 29.97])
def test_the_frame_rate_does_not_move_anybody(rate_hz: float) -> None:
    car = clip_from(recorded(rate_hz=rate_hz)).glyphs[0]
    for step in range(0, 101, 10):
        assert place(car, step)[1] == pytest.approx(20.0 + 0.2 * (step - 50), abs=0.45)


def test_no_absolute_time_is_in_a_clip() -> None:
    """The same scene an hour later makes the same bytes."""
    later = 3600.0
    moved = recorded(lambda time: two_users(time - later), start=EVENT + later - 8, end=EVENT + later + 8)
    assert clip_from(moved, finding(EVENT + later)).encode() == clip_from(recorded()).encode()


def test_neither_numbers_nor_order_of_tracks_show() -> None:
    def crowd(numbers: list[int]) -> Movement:
        return lambda time: [
            user(numbers[n], "pedestrian", -6.0 + 2.0 * n + 0.5 * (time - EVENT), 15.0 + n) for n in range(6)
        ]

    shuffled = [905, 17, 3, 444, 81, 260]
    plain = clip_from(recorded(crowd([1, 2, 3, 4, 5, 6])), finding(tracks=(3,)))
    renamed = clip_from(recorded(crowd(shuffled)), finding(tracks=(3,)))
    backwards = clip_from(recorded(lambda time: crowd([6, 5, 4, 3, 2, 1])(time)[::-1]), finding(tracks=(4,)))
    assert plain.encode() == renamed.encode() == backwards.encode()


def test_numbers_are_drawn_by_lot() -> None:
    def crowd(time: float) -> list[RoadUser]:
        return [user(n, "pedestrian", -6.0 + 2.0 * n, 15.0) for n in range(6)]

    orders = set()
    for seed in range(10):
        glyphs = clip_from(recorded(crowd, seed=seed), finding(tracks=())).glyphs
        assert [glyph.number for glyph in glyphs] == [1, 2, 3, 4, 5, 6]
        orders.add(tuple(glyph.keys[0][3] for glyph in glyphs))
    assert len(orders) > 7


def test_vulnerable_road_users_are_drawn_on_top() -> None:
    kinds = [glyph.kind for glyph in clip_from(recorded(lambda t: two_users(t)[::-1])).glyphs]
    assert kinds == ["car", "pedestrian"]


def test_a_box_without_motion_is_hollow() -> None:
    assert clip_from(recorded(moved=False)).glyphs[0].hollow == ((0, 101),)
    assert clip_from(recorded(moved=True)).glyphs[0].hollow == ()


def test_who_leaves_is_gone_from_then_on() -> None:
    def leaves(time: float) -> list[RoadUser]:
        return two_users(time) if time < EVENT + 2 else two_users(time)[1:]

    car = clip_from(recorded(leaves)).glyphs[0]
    assert car.keys[-1][0] == pytest.approx(70, abs=1)
    assert car.keys[-1][1:5] == (None, None, None, None)


def test_lamps_come_from_data() -> None:
    lamps = Lamps({"N": [(90.0, "green"), (97.03, "amber"), (EVENT - 0.04, "red"), (140.0, "green")]})
    clip = clip_from(recorded(lamps=lamps))
    shown = {lamp.group: [(change.at_s, change.state) for change in lamp.changes] for lamp in clip.lamps}
    assert shown == {
        "N": [(-5.0, "green"), (-3.0, "amber"), (0.0, "red")],
        "ped": [(-5.0, "unknown")],
    }


def test_where_the_redactor_failed_nothing_is_drawn() -> None:
    clip = clip_from(recorded(faulty=(EVENT + 2, EVENT + 3)))
    ((start, end),) = clip.blanks
    assert (start, end) == (pytest.approx(70, abs=1), pytest.approx(80, abs=1))
    for glyph in clip.glyphs:
        hidden = [key for key in glyph.keys if key[1] is None and key[3] is None]
        assert [key[0] for key in hidden] == [start]
        assert not [key for key in glyph.keys if start < key[0] < end]


@pytest.mark.parametrize(
    "faulty",
    [
        pytest.param((EVENT - 0.2, EVENT + 0.2), id="at the instant of the event"),
        pytest.param((EVENT - 9, EVENT - 0.5), id="for most of the time"),
        pytest.param((EVENT - 9, EVENT + 9), id="throughout"),
    ],
)
def test_a_redactor_that_failed_makes_no_clip(faulty: tuple[float, float]) -> None:
    recorder = recorded(faulty=faulty)
    recorder.hold(finding())
    if faulty[1] < EVENT:
        recorder = recorded(faulty=(faulty[0], EVENT + 0.05))
        recorder.hold(finding())
    assert recorder.flush() == [(finding(), None)]


def test_a_gap_in_the_recording_is_blank() -> None:
    recorder = Recorder(site(pinhole()), image_size=SIZE, rng=random.Random(1))
    for n in range(400):
        time = EVENT - 8 + n / 25
        if not EVENT - 3 < time < EVENT - 2:
            users = two_users(time)
            recorder.add(sketch(time, *(_box(each, True) for each in users)), scene(time, *users))
    assert clip_from(recorder).blanks == ((20, 30),)


def test_an_event_at_the_start_of_a_recording_has_a_shorter_clip() -> None:
    clip = clip_from(recorded(start=EVENT - 1, end=EVENT + 2))
    assert (clip.start_s, clip.steps) == (pytest.approx(-1.0, abs=0.11), pytest.approx(31, abs=2))


def test_an_event_out_of_the_ring_has_no_clip() -> None:
    recorder = recorded(end=EVENT + 40, rate_hz=5.0)
    recorder.hold(finding())
    assert recorder.flush() == [(finding(), None)]


def test_a_box_that_never_became_a_track_is_drawn_beside() -> None:
    recorder = Recorder(site(pinhole()), image_size=SIZE, rng=random.Random(1))
    for n in range(400):
        time = EVENT - 8 + n / 25
        left = 4 * (n // 4)
        stray = SketchBox(left, 200, left + 40, 280, "bicycle", moved=True)
        recorder.add(sketch(time, stray), scene(time))
    (glyph,) = clip_from(recorder).glyphs
    assert (glyph.kind, glyph.role) == ("bicycle", "other")
    assert all(key[1] is not None and key[3] is None for key in glyph.keys)


def test_motion_without_a_box_is_shown_where_it_lasts() -> None:
    recorder = Recorder(site(pinhole()), image_size=SIZE, rng=random.Random(1))
    for n in range(400):
        flicker = (300,) if n == 200 else ()
        recorder.add(sketch(EVENT - 8 + n / 25, cells=(41, 42, *flicker)), scene(EVENT - 8 + n / 25))
    movers = clip_from(recorder).movers
    assert {cell for each in movers for cell in each.cells} == {41, 42}


def test_a_clip_of_a_busy_street_is_kilobytes_and_the_ring_two_megabytes() -> None:
    chance = random.Random(3)
    ways = [(chance.uniform(-8, 8), chance.uniform(12, 30), chance.uniform(-3, 3)) for _ in range(20)]

    def busy(time: float) -> list[RoadUser]:
        return [
            user(
                n,
                "car" if n % 2 else "pedestrian",
                x + speed * (time - EVENT) + chance.gauss(0, 0.05),
                y + chance.gauss(0, 0.05),
            )
            for n, (x, y, speed) in enumerate(ways)
        ]

    frames = [(EVENT - 15 + n / 30, busy(EVENT - 15 + n / 30)) for n in range(901)]
    recorder = Recorder(site(pinhole()), image_size=SIZE, rng=random.Random(1))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for time, users in frames:
        recorder.add(sketch(time, *(_box(each, True) for each in users)), scene(time, *users))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown <= 2_000_000
    assert len(clip_from(recorder).encode()) <= 20_000


def test_a_clip_too_large_loses_what_matters_least() -> None:
    chance = random.Random(3)

    def swarm(time: float) -> list[RoadUser]:
        """Two hundred who jump about, so that no straight line spares a key."""
        return [
            user(n, "pedestrian", chance.uniform(-8, 8) if n else 0.0, chance.uniform(12, 40) if n else 20.0)
            for n in range(200)
        ]

    clip = clip_from(recorded(swarm, rate_hz=10.0), finding(tracks=(0,)))
    assert len(clip.encode()) <= MAX_BYTES
    assert sum(glyph.role == "first" for glyph in clip.glyphs) == 1


def test_a_replay_makes_the_same_bytes() -> None:
    assert clip_from(recorded()).encode() == clip_from(recorded()).encode()


def test_what_cannot_be_drawn_leaves_the_event() -> None:
    recorder = recorded()
    recorder.hold(finding(tracks=(1,)))
    recorder._rng = None  # type: ignore[assignment]  # breaks the drawing on purpose
    assert recorder.flush() == [(finding(), None)]


def test_downstream_of_the_sketch_no_array_exists() -> None:
    """The recorder and the clip load no library an image could be held or opened with."""
    words = (
        "import edge.recorder, edge.clip, sys; "
        "print([name for name in ('numpy', 'cv2', 'av', 'PIL') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@given(
    st.lists(
        st.tuples(
            st.floats(0, 600), st.floats(0, 470), st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 359)
        ),
        min_size=1,
        max_size=40,
    )
)
def test_keys_pass_by_every_place_within_a_step_of_the_grid(
    places: list[tuple[float, float, float, float, float]],
) -> None:
    users = [Seen(1, "car", (u, v), (x, y), heading, True) for u, v, x, y, heading in places]
    found = keys(users, SIZE)
    assert found[0][0] == 0
    assert found[-1][0] == len(places) - 1
    assert [key[0] for key in found] == sorted({key[0] for key in found})
    for step, (u, v, x, y, _) in enumerate(places):
        before = [key for key in found if key[0] <= step][-1]
        after = next((key for key in found if key[0] > step), before)
        share = 0.0 if after[0] == before[0] else (step - before[0]) / (after[0] - before[0])
        for n, value, grid in ((1, u, 4), (2, v, 4), (3, x, 0.25), (4, y, 0.25)):
            a, b = before[n], after[n]
            assert a is not None and b is not None
            assert abs(grid * (a + share * (b - a)) - value) <= 0.75 * grid + 1e-6


@given(st.lists(st.booleans(), max_size=30))
def test_spans_tell_the_flags_again(flags: list[bool]) -> None:
    told = [any(start <= step < end for start, end in spans(flags)) for step in range(len(flags))]
    assert told == flags


def test_a_clip_reads_as_written() -> None:
    clip = clip_from(recorded())
    assert Clip.decode(clip.encode()) == clip
    assert set(json.loads(clip.encode())) == set(Clip.model_fields)
