"""The plate in bad conditions: whoever stood there is not on it, whatever light, mast or detector do."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.capping import MAX_PX_PER_M
from edge.plate import HOLD_S, HOUR_S, MAX_AGE_S, SITE_WINDOW_S, PlateBuilder
from edge.plate_offer import ASK_EVERY_S, PICTURE_EVERY_S, PLAN_EVERY_S, QUIETER_AFTER_S, PlateOffer
from edge.redact import Redactor
from models.detections import Detections

from ..edge.drawn import CANARY, SIZE, Box, frame, overhead, painted, pinhole, road, seen, site
from .test_canary import MAX_CANARY_PX, canary_px, picture_of

RATE_HZ = 4.0
SECONDS = 36
STANDING: Box = (300, 260, 332, 352)
PARKED: Box = (420, 300, 520, 372)
Picture = NDArray[np.uint8]
Film = Iterable[tuple[float, Picture, Detections]]
HATCHING = {150, 178}
EMPTY = road(seed=2)


def times() -> Iterable[tuple[int, float]]:
    return ((n, n / RATE_HZ) for n in range(int(SECONDS * RATE_HZ)))


def plate_picture(film: Film, **more: object) -> Picture:
    """Return the plate a redactor makes of a film of at least half a minute."""
    plane = pinhole()
    redactor = Redactor(SIZE, plane=plane, plate_window_s=30.0, **more)  # type: ignore[arg-type]  # keywords of the test
    for time, picture, detections in film:
        redactor.ingest(frame(picture, time), detections)
    return picture_of(redactor.plate(site(plane)))


def someone(recall: float, seed: int = 5, box: Box = STANDING) -> Callable[[], Detections]:
    """Return a detector that sees somebody now and then, its box now here, now there by a few pixels."""
    chance = random.Random(seed)

    def detect() -> Detections:
        if chance.random() >= recall:
            return Detections.none()
        dx, dy = chance.randint(-3, 3), chance.randint(-3, 3)
        left, top, right, bottom = box
        return seen((left + dx, top + dy, right + dx, bottom + dy))

    return detect


def shaking(recall: float) -> Film:
    """A mast in the wind: every frame is moved by up to two pixels, and whoever stands with it."""
    detect, chance = someone(recall), random.Random(1)
    still = painted(EMPTY, STANDING, CANARY)
    for _, time in times():
        moved = np.roll(still, (chance.randint(-2, 2), chance.randint(-2, 2)), axis=(0, 1))
        yield time, moved, detect()


def night(recall: float) -> Film:
    """Little light and much noise."""
    detect, chance = someone(recall), np.random.default_rng(1)
    dark = (painted(EMPTY, STANDING, CANARY) // 4).astype(np.int16)
    noisy = [np.clip(dark + chance.normal(0, 12, dark.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    for _, time in times():
        yield time, noisy[chance.integers(0, len(noisy))], detect()


def lights_go_on(recall: float) -> Film:
    """A street light goes on in the middle of the time, and off again."""
    detect = someone(recall)
    still = painted(EMPTY, STANDING, CANARY)
    for _, time in times():
        yield time, cv2.convertScaleAbs(still, alpha=1.6 if 15 < time < 30 else 1.0), detect()


def clouds(recall: float) -> Film:
    detect = someone(recall)
    still = painted(EMPTY, STANDING, CANARY)
    for _, time in times():
        yield time, cv2.convertScaleAbs(still, alpha=0.8 + 0.2 * np.sin(time)), detect()


def comes_and_goes(recall: float) -> Film:
    """Nine seconds there, three away, again and again."""
    detect = someone(recall)
    empty = EMPTY
    there = painted(empty, STANDING, CANARY)
    for _, time in times():
        away = time % 12 >= 9
        yield time, empty if away else there, Detections.none() if away else detect()


@pytest.mark.parametrize("film", [shaking, night, lights_go_on, clouds, comes_and_goes])
@pytest.mark.parametrize("recall", [1.0, 0.5, 0.1])
def test_somebody_who_stands_there(film: Callable[[float], Film], recall: float) -> None:
    gain = 4 if film is night else 1
    picture = plate_picture(film(recall))
    assert canary_px(cv2.convertScaleAbs(picture, alpha=gain)) <= MAX_CANARY_PX


@pytest.mark.parametrize("recall", [1.0, 0.5, 0.1])
def test_a_parked_car_is_hatched(recall: float) -> None:
    detect = someone(recall, box=PARKED)
    parked = painted(EMPTY, PARKED, CANARY)
    picture = plate_picture((time, parked, detect()) for _, time in times())
    left, top, right, bottom = PARKED
    assert set(np.unique(picture[top + 8 : bottom - 8, left + 8 : right - 8])) <= HATCHING
    assert canary_px(picture) <= MAX_CANARY_PX


def test_where_a_parked_car_left_the_road_is_shown() -> None:
    parked, empty = painted(EMPTY, PARKED, CANARY), EMPTY
    picture = plate_picture(
        (time, parked, seen(PARKED)) if time < 10 else (time, empty, Detections.none()) for _, time in times()
    )
    left, top, right, bottom = PARKED
    shown = picture[top + 8 : bottom - 8, left + 8 : right - 8]
    assert canary_px(picture) == 0
    assert np.abs(shown.astype(int) - 96).max() < 20


def test_a_poster_is_shown_and_nothing_finer_than_the_cap_of_it() -> None:
    """A picture on a wall is no road user and no detector sees it: what keeps it unread is the cap alone.

    Stripes of 2 to 6 px on a poster under a camera that shows 50 px a metre: the finest detail that may
    pass, 12.5 px/m, has a period of 8 px there; the finer it is, the less is left of its contrast.
    """
    plane = overhead(px_per_m=50.0)
    for period, most in ((2, 0.02), (3, 0.05), (4, 0.05), (6, 0.25)):
        stripes = np.where((np.arange(SIZE[0]) % period) < period / 2, 40, 216).astype(np.uint8)
        poster = np.repeat(np.repeat(stripes[None], SIZE[1], axis=0)[..., None], 3, axis=2)
        redactor = Redactor(SIZE, plane=plane, plate_window_s=30.0)
        for _, time in times():
            redactor.ingest(frame(poster, time), Detections.none())
        row = picture_of(redactor.plate(site(plane)))[240, 100:-100, 0].astype(float)
        spectrum = np.abs(np.fft.rfft(row - row.mean())) / len(row) * 2
        frequency = np.fft.rfftfreq(len(row))
        fine = frequency > MAX_PX_PER_M / 2 / 50.0 * 1.5
        assert spectrum[fine].max() <= most * (216 - 40) / 2, period


def test_burned_in_text_that_ticks_and_lamps_that_never_change() -> None:
    clock, lamp = (0.0, 0.0, 160.0, 40.0), (600.0, 20.0, 616.0, 60.0)

    def film() -> Film:
        for n, time in times():
            picture = painted(EMPTY, (600, 20, 616, 60), (0, 0, 255))
            cv2.putText(picture, f"{n:05d}", (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, CANARY, 2)
            yield time, picture, Detections.none()

    picture = plate_picture(film(), osd=[clock], lamps=[lamp])
    assert set(np.unique(picture[0:40, 0:160])) == {96}
    assert set(np.unique(picture[20:60, 600:616])) == {40}
    assert canary_px(picture) == 0


def test_a_detector_that_finds_nothing_and_somebody_who_walks() -> None:
    def film() -> Film:
        for n, time in times():
            left = 10 + (8 * n) % 560
            yield time, painted(EMPTY, (left, 260, left + 32, 352), (235, 90, 235)), Detections.none()

    assert canary_px(plate_picture(film())) <= MAX_CANARY_PX


def test_a_detector_that_crashes_now_and_then() -> None:
    """Frames it fails on never reach the redactor: nothing is taken of them, and what is near is masked."""
    detect, chance = someone(1.0), random.Random(4)
    still = painted(EMPTY, STANDING, CANARY)
    film = [(time, still, detect()) for _, time in times() if chance.random() < 0.5 and not 20 < time < 24]
    assert canary_px(plate_picture(film)) <= MAX_CANARY_PX


def test_a_detector_that_was_away_leaves_no_sample_of_what_came_meanwhile() -> None:
    """Somebody comes while the detector is away and stands on: from its return on they are masked."""
    empty, there = EMPTY, painted(EMPTY, STANDING, CANARY)
    film = [(time, there if time > 10 else empty, seen(STANDING) if time > 12 else Detections.none())
            for _, time in times() if not 10 < time <= 12]  # fmt: skip
    assert canary_px(plate_picture(film)) <= MAX_CANARY_PX


def test_somebody_no_detector_ever_sees_is_what_the_approval_is_for() -> None:
    """The control: detector and motion both blind for all of the time. A person has to look (plates.py)."""
    there = painted(EMPTY, STANDING, CANARY)
    assert canary_px(plate_picture((time, there, Detections.none()) for _, time in times())) > MAX_CANARY_PX


def test_the_first_ten_minutes_have_no_picture() -> None:
    builder = PlateBuilder(SIZE, plane=pinhole(), osd=[], lamps=[])
    empty, nothing = road(), np.zeros((SIZE[1] // 4, SIZE[0] // 4), np.bool_)
    first = None
    for second in range(640):
        builder.cover(np.zeros((0, 4), np.float32), nothing, float(second))
        builder.ingest(empty, float(second))
        if second % 20 == 0 and first is None and builder.background(window_s=SITE_WINDOW_S) is not None:
            first = second
    assert first is not None
    assert first >= SITE_WINDOW_S - 2 * HOLD_S


def hours(
    builder: PlateBuilder, first: int, *, busy: Iterable[bool], light: Callable[[int], Picture]
) -> None:
    """Let hours go by with samples every two minutes; in a busy one somebody is always somewhere."""
    nothing = np.zeros((SIZE[1] // 4, SIZE[0] // 4), np.bool_)
    for hour, crowded in enumerate(busy, first):
        for n in range(30):
            boxes = [[40.0 * (n % 14), 200.0, 40.0 * (n % 14) + 300.0, 470.0]] if crowded else []
            for second in (0.0, 3.0):
                time = hour * 3600.0 + n * 119.0 + second
                builder.cover(np.array(boxes, np.float32).reshape(-1, 4), nothing, time)
                builder.ingest(light(hour), time)


def picture_in(background: str | None) -> Picture:
    assert background is not None
    return np.asarray(
        cv2.imdecode(np.frombuffer(base64.b64decode(background), np.uint8), cv2.IMREAD_COLOR), np.uint8
    )


@pytest.mark.parametrize("quiet", [1, 4])
def test_a_picture_is_of_the_quietest_hour(quiet: int) -> None:
    """Each hour has a light of its own, which tells the hour a picture is of."""
    builder = PlateBuilder(SIZE, plane=pinhole(), osd=[], lamps=[])

    def light(hour: int) -> Picture:
        return np.full_like(EMPTY, 80 + 20 * hour)

    hours(builder, 0, busy=[hour != quiet for hour in range(6)], light=light)
    picture = picture_in(builder.background(window_s=SITE_WINDOW_S))
    assert abs(int(np.median(picture)) - (80 + 20 * quiet)) <= 4


@pytest.mark.parametrize(("light", "grey"), [((10, 10, 120, 120), 120), ((10, 12, 14, 10), 12)])
def test_a_busy_hour_by_day_is_better_than_a_quiet_one_at_night(light: tuple[int, ...], grey: int) -> None:
    """Where there is no day in it, the quietest hour of the night is."""
    builder = PlateBuilder(SIZE, plane=pinhole(), osd=[], lamps=[])
    hours(
        builder,
        0,
        busy=[True, False, True, True],
        light=lambda hour: np.full_like(EMPTY, light[min(hour, 3)]),
    )
    hours(builder, 4, busy=[True], light=lambda hour: np.full_like(EMPTY, light[3]))
    assert abs(int(np.median(picture_in(builder.background(window_s=SITE_WINDOW_S)))) - grey) <= 4


def test_no_sample_is_older_than_a_day() -> None:
    """An hour of white, then days in which nothing is seen long enough: the white is forgotten."""
    builder = PlateBuilder(SIZE, plane=pinhole(), osd=[], lamps=[])
    hours(builder, 0, busy=[False], light=lambda hour: np.full_like(EMPTY, 255))
    nothing = np.zeros((SIZE[1] // 4, SIZE[0] // 4), np.bool_)
    seen_at = {}
    for hour in range(1, 30):
        for second in (0.0, 3.0):
            builder.cover(np.zeros((0, 4), np.float32), nothing, hour * 3600.0 + second)
            builder.ingest(EMPTY, hour * 3600.0 + second)
        seen_at[hour] = builder.background(window_s=SITE_WINDOW_S) is not None
        assert builder._samples == [] or builder._samples[-1].time - builder._samples[0].time <= HOUR_S
    assert seen_at[23], "the control: within the day it is there"
    assert not seen_at[25]
    assert MAX_AGE_S == 24 * 3600


def test_a_camera_that_moved_begins_anew() -> None:
    builder = PlateBuilder(SIZE, plane=pinhole(), osd=[], lamps=[])
    hours(builder, 0, busy=[False, False], light=lambda hour: EMPTY)
    assert builder.background(window_s=SITE_WINDOW_S) is not None
    builder.forget()
    assert builder.background(window_s=0.0) is None


def test_a_node_offers_the_plan_daily_a_quieter_picture_after_a_day_and_one_each_fortnight() -> None:
    plane = pinhole()
    redactor = Redactor(SIZE, plane=plane, mode="schematic")
    plan = redactor.plate(site(plane))
    drawn = plan.model_copy(update={"background": "iVBORw0KGgo="})
    offer, made = PlateOffer("scene"), plan
    sent = []
    for minute in range(20 * 24 * 60):
        made = drawn if minute >= 10 else plan
        each = offer.take(minute * 60.0, lambda made=made: made)  # type: ignore[misc]  # bound now
        if each is not None:
            sent.append((minute, each.background is not None))
    assert sent == [(0, False), (10, True), (10 + 25 * 60, True), (10 + 25 * 60 + 14 * 24 * 60, True)]
    assert QUIETER_AFTER_S > MAX_AGE_S, "a day's hours are over by then"
    assert ASK_EVERY_S == 60.0
    plans = PlateOffer("schematic")
    days = [day for day in range(30) for _ in (0, 1) if plans.take(day * PLAN_EVERY_S, lambda: plan)]
    assert days == list(range(30))
    assert PlateOffer("none").take(0.0, lambda: plan) is None
    assert PICTURE_EVERY_S < 30 * 86_400, "it is offered anew before a collector forgets it"
