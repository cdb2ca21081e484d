"""Which places and road users a rule is about, and whom a rate at a place is a share of.

The cells of a publication come from the site's plan, never from what happened: a place without an event is
published like any other, else leaving it out would say that nothing happened there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from broker.drawing import Outline
from broker.wire import ROAD_USERS, PlaceId, Record, RoadUser, Rule, SiteId

JUNCTION = "junction"
VEHICLES: tuple[RoadUser, ...] = ("bicycle", "motorcycle", "car", "bus", "truck")
WALKERS: tuple[RoadUser, ...] = ("pedestrian",)

# Where a rule's events lie, and whose they are (docs/rules).
_AT: dict[Rule, tuple[Literal["stop_line", "crosswalk", "any"], tuple[RoadUser, ...]]] = {
    "red_light_entry": ("stop_line", VEHICLES),
    "right_on_red_without_stop": ("stop_line", VEHICLES),
    "amber_entry": ("stop_line", VEHICLES),
    "pedestrian_against_signal": ("crosswalk", WALKERS),
    "pedestrian_late_start": ("crosswalk", WALKERS),
    "crossing_outside_crosswalk": ("crosswalk", WALKERS),
    "wrong_way": ("stop_line", VEHICLES),
    "blocking_box": ("stop_line", VEHICLES),
    "failure_to_yield": ("crosswalk", VEHICLES),
    "near_miss": ("any", ROAD_USERS),
}

PlaceKind = Literal["stop_line", "crosswalk", "roadway"]
Globe = Annotated[tuple[tuple[float, float], ...], Field(max_length=201)]


class Place(Record):
    """A place of a site; ``globe`` is longitude and latitude, where the site has an origin on the globe."""

    id: PlaceId
    kind: PlaceKind
    outline_m: Outline
    globe: Globe | None = None


class Plan(Record):
    """A site as it is published: its name, its time zone and its places."""

    v: Literal[1] = 1
    site: SiteId
    name: Annotated[str, Field(max_length=120)]
    timezone: Annotated[str, Field(max_length=64)]
    places: Annotated[tuple[Place, ...], Field(max_length=200)]

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone, such as America/Chicago") from error
        return name

    @field_validator("places")
    @classmethod
    def _are_distinct(cls, places: tuple[Place, ...]) -> tuple[Place, ...]:
        names = [place.id for place in places]
        if len(set(names)) != len(names):
            raise ValueError("two places have the same id")
        return places

    def ids(self, kind: PlaceKind) -> tuple[str, ...]:
        return tuple(place.id for place in self.places if place.kind == kind)


def places_of(rule: Rule, plan: Plan) -> tuple[str, ...]:
    """Return every place an event of a rule can lie at; what lies at none of them is not published."""
    where, _ = _AT[rule]
    if where == "stop_line":
        return plan.ids("stop_line")
    if rule == "near_miss":
        return (*(name for name in plan.ids("crosswalk") if name != JUNCTION), JUNCTION)
    return plan.ids("crosswalk") or plan.ids("roadway")


def users_of(rule: Rule) -> tuple[RoadUser, ...]:
    """Return the kinds of road user a rule is about."""
    return _AT[rule][1]


def counted_at(
    rule: Rule, plan: Plan, place: str | None, road_user: RoadUser | None
) -> tuple[tuple[str, RoadUser], ...]:
    """Return whose counts, and where, a rate is a share of; empty where there is no such number.

    At a stop line: the vehicles that entered over it (of the kind). At a crosswalk: the pedestrians who
    began to cross on it. Of the junction, or the whole site: the vehicles that entered, or for rules of
    crosswalks the pedestrians.
    """
    lines, crosswalks = plan.ids("stop_line"), plan.ids("crosswalk")
    kinds = VEHICLES if road_user is None or road_user not in VEHICLES else (road_user,)
    if place in lines:
        return tuple((place, kind) for kind in kinds)
    if place in crosswalks:
        return ((place, "pedestrian"),)
    if place in plan.ids("roadway"):
        return ()
    if _AT[rule][0] == "crosswalk":
        return tuple((crosswalk, "pedestrian") for crosswalk in crosswalks)
    return tuple((line, kind) for line in lines for kind in kinds)
