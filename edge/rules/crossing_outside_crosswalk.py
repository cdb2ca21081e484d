"""Crossing outside the crosswalk: from kerb to kerb on a way that leaves every crosswalk and its margin.

The margin is a metre plus the position error. Who steps off and back, or walks along the edge, reaches no
other kerb and has not crossed. The event's instant is that of stepping onto the carriageway, its place the
crosswalk nearest to that point (a site without crosswalks: the roadway).

Source: margins of 0.6–0.9 m in observational studies of crosswalk compliance, such as Sisiopiku & Akin,
Pedestrian behaviors at and perceptions towards various pedestrian facilities, Transportation Research F 6
(2003).
"""

from __future__ import annotations

import math

from edge.rules.crossings import Stay
from edge.rules.finding import Finding, Measure, Outcome
from edge.rules.places import Places
from edge.rules.verdict import DOUBT_SIGMAS
from edge.scene import PEDESTRIAN

# Lost on the road this near to the other kerb: it may have reached it.
NEARLY_ACROSS_M = 1.0


def crossing_outside_crosswalk(stay: Stay, places: Places) -> Finding | None:
    """Return the finding of one stay on the road, or None where it is no crossing or within the margin."""
    road, start = places.carriageway, stay.start
    if road is None or not road.has_roadways or not road.opposite_kerbs((start.x, start.y), stay.end):
        return None
    verdict: Outcome = "undecidable" if start.doubtful else "occurred"
    if stay.lost:
        if _kerb_distance(places, stay.end) > NEARLY_ACROSS_M:
            return None
        verdict = "undecidable"
    measures = {"speed_mps": Measure(start.speed_mps, start.speed_sigma_mps)}
    nearest = places.nearest_crosswalk(start.x, start.y)
    if nearest is not None:
        over = stay.outside_m - places.site.thresholds.crosswalk_margin_m
        error = DOUBT_SIGMAS * stay.outside_sigma_m
        if over <= -error:
            return None
        if over <= error:
            verdict = "undecidable"
        measures["outside_m"] = Measure(stay.outside_m, stay.outside_sigma_m)
    return Finding(
        rule="crossing_outside_crosswalk",
        outcome=verdict,
        time=start.instant.time,
        time_sigma_s=start.instant.sigma_s,
        place=nearest.id if nearest is not None else places.road_at(start.x, start.y),
        road_user=PEDESTRIAN,
        signal=None,
        measures=measures,
        x=start.x,
        y=start.y,
        tracks=(start.path.number,),
    )


def _kerb_distance(places: Places, point: tuple[float, float]) -> float:
    import numpy as np

    road = places.carriageway
    assert road is not None
    return math.fabs(float(road.depth_m(np.array([point[0]]), np.array([point[1]]))[0]))
