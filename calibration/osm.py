"""Crossings and crosswalks of an OSM file, Lanelet2 maps among them, as GeoJSON for ``calibration.geojson``.

A Lanelet2 map is an OSM file whose relations are lanelets; one of subtype ``crosswalk`` is the area between
its left and right way. In OpenStreetMap a crossing is the line people walk, ``footway=crossing``. Stop lines
are left aside: neither says plainly which way traffic goes over them, and nothing is guessed.
Sources: Poggenhans et al. (2018), Lanelet2, IEEE ITSC; OpenStreetMap wiki, Tag:footway=crossing.
"""

from __future__ import annotations

import json
from typing import Any

from calibration.site import SiteError

EXTRA = "an OSM file needs pyosmium: pip install 'nearmiss[osm]'"


def is_osm(text: str) -> bool:
    """Return whether a text is XML and not JSON; whether it is OSM shows when it is read."""
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def as_geojson(text: str) -> str:
    """Return the crosswalks of an OSM XML text as a GeoJSON FeatureCollection.

    Raises:
        SiteError: pyosmium is not installed, or the text is no OSM.
    """
    try:
        import osmium
    except ImportError as error:
        raise SiteError([EXTRA]) from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SiteError(["not an OSM file: it declares a document type, which none does"])
    try:
        features = _features(osmium, text.encode())
    except (RuntimeError, ValueError, OSError) as error:
        raise SiteError([f"not an OSM file: {str(error).splitlines()[0]}"]) from error
    return json.dumps({"type": "FeatureCollection", "features": features})


def _features(osmium: Any, content: bytes) -> list[dict[str, Any]]:
    nodes: dict[int, list[float]] = {}
    ways: dict[int, list[int]] = {}
    features: list[dict[str, Any]] = []
    # Lanelet2 writes negative ids and any order: nothing is resolved before all of it is read.
    lanelets: list[tuple[int, int | None, int | None]] = []
    crossings: list[tuple[int, dict[str, str]]] = []
    for each in osmium.FileProcessor(osmium.io.FileBuffer(content, "osm")):
        if each.is_node():
            nodes[each.id] = [each.lon, each.lat]
        elif each.is_way():
            ways[each.id] = [node.ref for node in each.nodes]
            if each.tags.get("footway") == "crossing":
                crossings.append((each.id, {tag.k: tag.v for tag in each.tags}))
        elif each.is_relation() and _is_crosswalk(each.tags):
            sides = {member.role: member.ref for member in each.members if member.type == "w"}
            lanelets.append((each.id, sides.get("left"), sides.get("right")))
    for number, tags in crossings:
        line = [nodes[node] for node in ways[number] if node in nodes]
        properties = {"footway": "crossing", "id": f"way/{number}"}
        properties |= {"width": tags["width"]} if "width" in tags else {}
        features.append(_feature("LineString", line, properties))
    for number, left, right in lanelets:
        ring = _ring(
            [[nodes[node] for node in ways.get(side or 0, []) if node in nodes] for side in (left, right)]
        )
        properties = {"kind": "crosswalk", "id": f"lanelet-{abs(number)}"}
        features.append(_feature("Polygon", [ring], properties))
    return features


def _is_crosswalk(tags: Any) -> bool:
    return (tags.get("type"), tags.get("subtype")) == ("lanelet", "crosswalk")


def _ring(sides: list[list[list[float]]]) -> list[list[float]]:
    """Return the outline between two sides, whichever way each was drawn."""
    left, right = sides
    if not left or not right:
        return []
    # Joined end to end the outline must not cross itself: the shorter way from one side to the other.
    straight = _apart(left[-1], right[-1]) + _apart(left[0], right[0])
    crossed = _apart(left[-1], right[0]) + _apart(left[0], right[-1])
    ring = [*left, *(reversed(right) if straight <= crossed else right)]
    return [*ring, ring[0]]


def _apart(a: list[float], b: list[float]) -> float:
    return float((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


def _feature(shape: str, coordinates: list[Any], properties: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": shape, "coordinates": coordinates},
    }
