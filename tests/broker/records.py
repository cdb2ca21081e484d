"""Records for the tests of the chain: one crossing at Main St / 5th Ave."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from broker.drawing import Clip, Glyph, Lamp, LampChange, Plate, Zone
from broker.wire import Count, Counts, Event, LocalEvent, LocalSignal, Measure, Rule, Status, WireSignal
from calibration.site import Site, SiteInfo, Thresholds

SITE, NODE = "main-5th", "cam-n"
ROAD_SITE = Site(site=SiteInfo(id=SITE, name="Main St / 5th Ave"), thresholds=Thresholds(time_bin_s=300))
EVENT_TIME = datetime(2026, 11, 20, 8, 17, 2, 350_000, tzinfo=UTC)
BIN_TIME = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
SOFTWARE = "nearmiss 0.1.0"


def local_event(n: int = 1, **changes: Any) -> LocalEvent:
    """Return a red-light entry by a car, 1.25 s into red."""
    values: dict[str, Any] = {
        "n": n,
        "site": SITE,
        "node": NODE,
        "rule": "red_light_entry",
        "outcome": "occurred",
        "time": EVENT_TIME,
        "time_sigma_s": 0.04,
        "place": "N",
        "road_user": "car",
        "signal": LocalSignal(group="N", state="red", since=BIN_TIME, source="controller"),
        "measures": {
            "into_red_s": Measure(value=1.25, sigma=0.05),
            "speed_mps": Measure(value=11.2, sigma=0.6),
        },
        "clip": None,
        "detector": "motion",
        "software": SOFTWARE,
    }
    return LocalEvent(**{**values, **changes})


def event(*, id: UUID | None = None, seq: int = 1, rule: Rule = "red_light_entry", **changes: Any) -> Event:
    """Return the same as it travels."""
    values: dict[str, Any] = {
        "id": id or uuid4(),
        "seq": seq,
        "site": SITE,
        "node": NODE,
        "rule": rule,
        "outcome": "occurred",
        "time": BIN_TIME,
        "time_sigma_s": 0.1,
        "place": "N",
        "road_user": "car",
        "signal": WireSignal(group="N", state="red", source="controller"),
        "measures": {
            "into_red_s": Measure(value=1.2, sigma=0.1),
            "speed_mps": Measure(value=11.111, sigma=0.556),
        },
        "clip": None,
        "detector": "motion",
        "software": SOFTWARE,
    }
    return Event(**{**values, **changes})


def counts(*, seq: int = 1, count: int = 12) -> Counts:
    """Return a quarter of an hour's cars over stop line N."""
    rows = (Count(place="N", road_user="car", count=count),)
    return Counts(site=SITE, node=NODE, seq=seq, start=BIN_TIME, counts=rows)


def status(state: str = "running", *, seq: int = 0) -> Status:
    return Status.model_validate(
        {"site": SITE, "node": NODE, "seq": seq, "state": state, "software": SOFTWARE}, strict=True
    )


def clip(*, plate: str | None = None, offset: int = 0) -> Clip:
    """Return ten seconds of a car going south over the line; ``offset`` makes clips that differ."""
    keys = ((0, None, None, offset, 80, 18), (100, None, None, offset, -40, 18))
    return Clip(
        plate=plate,
        start_s=-5.0,
        step_s=0.1,
        steps=101,
        cell_px=16,
        columns=80,
        glyphs=(Glyph(kind="car", number=None, role="first", keys=keys),),
        movers=(),
        lamps=(Lamp(group="N", changes=(LampChange(at_s=-5.0, state="red"),)),),
        spot=(offset, 53),
    )


def plate(*, background: str | None = None) -> Plate:
    """Return the plan of the site: a stop line, a crosswalk and the roadway."""
    return Plate(
        site=SITE,
        image_size=None,
        background=background,
        zones=(
            Zone(id="N", kind="stop_line", group="N", outline_m=((-6.4, 13.4), (0.0, 13.4)), outline_px=None),
            Zone(
                id="ped0",
                kind="crosswalk",
                group="ped0",
                outline_m=((-6.4, 9.1), (6.4, 9.1), (6.4, 5.1), (-6.4, 5.1)),
                outline_px=None,
            ),
            Zone(
                id="road",
                kind="roadway",
                group=None,
                outline_m=((-7, -60), (7, -60), (7, 60), (-7, 60)),
                outline_px=None,
            ),
        ),
    )
