"""The places of a SUMO junction, read from its network: lines, crosswalks, roadway, site file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import sumolib

from tests.sumo.junctions import Junction


@dataclass(frozen=True)
class Line:
    """A lane's stop line; ``directions``: by the edge inside the junction, SUMO's letter of the turn."""

    lane: str
    links: tuple[int, ...]
    ends: tuple[tuple[float, float], tuple[float, float]]
    heading_deg: float
    length_m: float
    directions: dict[str, str]


@dataclass(frozen=True)
class Crossing:
    """Where people cross; ``link`` is its signal's, None where there is none and no crosswalk drawn."""

    edge: str
    link: int | None
    centre_line: tuple[tuple[float, float], ...]
    width_m: float


def stop_lines(net: sumolib.net.Net) -> dict[str, Line]:
    lines = {}
    for edge in net.getNode("J").getIncoming():
        for lane in edge.getLanes():
            if edge.getFunction() or not lane.allows("passenger"):
                continue
            (x0, y0), (x1, y1) = lane.getShape()[-2:]
            heading = math.atan2(y1 - y0, x1 - x0)
            left = (-math.sin(heading) * lane.getWidth() / 2, math.cos(heading) * lane.getWidth() / 2)
            lines[lane.getID()] = Line(
                lane=lane.getID(),
                links=tuple(
                    link.getTLLinkIndex() for link in lane.getOutgoing() if link.getTLLinkIndex() >= 0
                ),
                ends=((x1 + left[0], y1 + left[1]), (x1 - left[0], y1 - left[1])),
                heading_deg=math.degrees(heading),
                length_m=lane.getLength(),
                directions={
                    link.getViaLaneID().rsplit("_", 1)[0]: link.getDirection() for link in lane.getOutgoing()
                },
            )
    return lines


def read_crossings(net: sumolib.net.Net) -> dict[str, Crossing]:
    crossings = {}
    for edge in net.getEdges(withInternal=True):
        if edge.getFunction() != "crossing":
            continue
        lane = edge.getLane(0)
        links = {c.getTLLinkIndex() for c in lane.getIncomingConnections() if c.getTLLinkIndex() >= 0}
        crossings[edge.getID()] = Crossing(
            edge.getID(), min(links, default=None), tuple(lane.getShape()[:]), lane.getWidth()
        )
    return crossings


def _roadway(net: sumolib.net.Net) -> shapely.Polygon:
    nodes = [each for each in net.getNodes() if each.getID() == "J" or each.getID().endswith("m")]
    pieces = [shapely.Polygon(node.getShape()) for node in nodes]
    for edge in {edge for node in nodes for edge in (*node.getIncoming(), *node.getOutgoing())}:
        for lane in edge.getLanes():
            if not edge.getFunction() and lane.allows("passenger"):
                line = shapely.LineString(lane.getShape())
                pieces.append(line.buffer(lane.getWidth() / 2 + 0.05, cap_style="flat"))
    pieces.sort(key=lambda piece: piece.bounds)
    road = shapely.union_all(pieces)
    for edge in net.getEdges(withInternal=True):
        if edge.getFunction() == "walkingarea":
            # People cut the corners of a walking area, so its hull is taken off the road.
            road = road.difference(shapely.MultiPoint(edge.getLane(0).getShape()).convex_hull)
    on_road = []
    for edge in net.getEdges(withInternal=True):
        if edge.getFunction() == "crossing":
            # The kerb is where SUMO's crossing begins: no road before its ends.
            lane = edge.getLane(0)
            line = np.asarray(lane.getShape())
            ahead = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
            longer = shapely.LineString([line[0] - 2 * ahead, line[-1] + 2 * ahead])
            half = lane.getWidth() / 2 + 0.3
            road = road.difference(longer.buffer(half, cap_style="flat"))
            on_road.append(shapely.LineString(line).buffer(half, cap_style="flat"))
    road = shapely.union_all([road, *on_road])
    road = road.buffer(0.05).buffer(-0.05)
    largest: shapely.Polygon = max(getattr(road, "geoms", [road]), key=lambda piece: piece.area)
    return shapely.Polygon(largest.exterior).simplify(0.02)


def box(net: sumolib.net.Net, crossings: dict[str, Crossing]) -> shapely.Polygon:
    """Return the space between the crosswalks of the junction."""
    shape = shapely.Polygon(net.getNode("J").getShape())
    for crossing in crossings.values():
        line = np.asarray(crossing.centre_line)
        ahead = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
        longer = shapely.LineString([line[0] - 6 * ahead, line[-1] + 6 * ahead])
        shape = shape.difference(longer.buffer(crossing.width_m / 2, cap_style="flat"))
    pieces = list(getattr(shape, "geoms", [shape]))
    largest: shapely.Polygon = max(pieces, key=lambda piece: piece.area)
    return largest


def write_site(
    junction: Junction,
    net: sumolib.net.Net,
    lines: dict[str, Line],
    crossings: dict[str, Crossing],
    centre: tuple[float, float],
    folder: Path,
) -> Path:
    def local(points: object) -> list[list[float]]:
        return [[round(x - centre[0], 3), round(y - centre[1], 3)] for x, y in points]  # type: ignore[attr-defined]

    rows = ["[site]", f'id = "sumo-{junction.name}"', 'timezone = "UTC"']
    rows += [f'drive_on = "{junction.drive_on}"']
    for line in lines.values():
        rows += ["[[stop_lines]]", f'id = "{line.lane}"', f'signal_group = "{line.lane}"']
        rows += [f"line = {local(line.ends)}", f"heading_deg = {line.heading_deg:.2f}"]
        rows += [f'right_on_red = "{junction.right_on_red}"']
    for crossing in crossings.values():
        if crossing.link is None and not junction.zebras:
            continue
        place = crossing_id(crossing.edge)
        outline = shapely.LineString(crossing.centre_line).buffer(crossing.width_m / 2, cap_style="flat")
        rows += ["[[crosswalks]]", f'id = "{place}"']
        rows += [f'signal_group = "{place}"'] if crossing.link is not None else []
        rows += [f"polygon = {local(list(outline.exterior.coords)[:-1])}"]
    rows += ["[[boxes]]", 'id = "box"']
    rows += [f"polygon = {local(list(box(net, crossings).exterior.coords)[:-1])}"]
    rows += ["[[roadways]]", f"polygon = {local(list(_roadway(net).exterior.coords)[:-1])}"]
    path = folder / "site.toml"
    path.write_text("\n".join(rows) + "\n")
    return path


def crossing_id(edge: str) -> str:
    return edge.removeprefix(":J_").removeprefix(":").lower().replace("_", "-")
