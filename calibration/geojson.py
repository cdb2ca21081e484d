"""The places of a site as GeoJSON, so that a GIS can draw them: WGS 84 on one side, site metres on the other.

The site frame is the plane that touches the ellipsoid at the site's origin, its y axis turned to
``bearing_deg``. OpenStreetMap's crossings (``footway=crossing`` ways, as Overpass exports them) come in as
crosswalks of an ordinary width.

Source: RFC 7946; NIMA TR8350.2 (WGS 84).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shapely.geometry import LineString

from calibration.site import Point, Site, SiteError, SiteInfo

_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY2 = 6.694_379_990_141_316_5e-3
# What an OSM crossing's way does not say: MUTCD 3C asks for 6 ft at least, 10 ft is usual.
CROSSING_WIDTH_M = 3.0
WIDEST_CROSSING_M = 30.0
# Nothing of one junction lies further from its origin.
_FURTHEST_M = 5_000.0

_SHAPES = {"stop_line": "LineString", "crosswalk": "Polygon", "roadway": "Polygon", "box": "Polygon"}
_TABLES = {"stop_line": "stop_lines", "crosswalk": "crosswalks", "roadway": "roadways", "box": "boxes"}


class Origin:
    """Where a site frame lies on the globe."""

    def __init__(self, *, lat: float, lon: float, bearing_deg: float = 0.0) -> None:
        phi, lam, turn = math.radians(lat), math.radians(lon), math.radians(bearing_deg)
        self._at = _earth(lat, lon)
        east = (-math.sin(lam), math.cos(lam), 0.0)
        north = (-math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi))
        self._x = tuple(math.cos(turn) * e - math.sin(turn) * n for e, n in zip(east, north, strict=True))
        self._y = tuple(math.sin(turn) * e + math.cos(turn) * n for e, n in zip(east, north, strict=True))
        self._lat, self._lon, self._turn = lat, lon, turn

    def metres(self, lon: float, lat: float) -> Point:
        """Return a point of the globe in the site frame."""
        off = tuple(a - b for a, b in zip(_earth(lat, lon), self._at, strict=True))
        return _dot(self._x, off), _dot(self._y, off)

    def globe(self, point: Point) -> tuple[float, float]:
        """Return longitude and latitude, degrees, of a point of the site frame."""
        phi = math.radians(self._lat)
        bulge = math.sqrt(1 - _ECCENTRICITY2 * math.sin(phi) ** 2)
        per_lat = math.radians(_SEMI_MAJOR_M * (1 - _ECCENTRICITY2) / bulge**3)
        per_lon = math.radians(_SEMI_MAJOR_M / bulge * math.cos(phi))
        lon, lat = self._lon, self._lat
        # The globe is all but flat here: each step leaves a ten-thousandth of the error.
        for _ in range(4):
            x, y = self.metres(lon, lat)
            dx, dy = point[0] - x, point[1] - y
            lon += (math.cos(self._turn) * dx + math.sin(self._turn) * dy) / per_lon
            lat += (-math.sin(self._turn) * dx + math.cos(self._turn) * dy) / per_lat
        return lon, lat


def origin_of(info: SiteInfo) -> Origin:
    """Return where a site lies.

    Raises:
        SiteError: the site file does not say.
    """
    if info.origin_lat is None or info.origin_lon is None:
        raise SiteError(
            ["site.origin_lat, site.origin_lon: missing: GeoJSON needs to know where the origin lies"]
        )
    return Origin(lat=info.origin_lat, lon=info.origin_lon, bearing_deg=info.bearing_deg)


def features(site: Site) -> dict[str, Any]:
    """Return the places of a site as a GeoJSON FeatureCollection.

    Raises:
        SiteError: the site has no origin on the globe.
    """
    origin = origin_of(site.site)
    turn = site.site.bearing_deg
    found = [
        _feature(
            "stop_line",
            [origin.globe(point) for point in line.line],
            id=line.id,
            signal_group=line.signal_group,
            bearing_deg=round((90.0 - line.heading_deg + turn) % 360.0, 3),
            right_on_red=line.right_on_red,
        )
        for line in site.stop_lines
    ]
    found += [
        _feature("crosswalk", _ring(origin, each.polygon), id=each.id, signal_group=each.signal_group)
        for each in site.crosswalks
    ]
    found += [_feature("roadway", _ring(origin, each.polygon), id=each.id) for each in site.roadways]
    found += [_feature("box", _ring(origin, each.polygon), id=each.id) for each in site.boxes]
    return {"type": "FeatureCollection", "features": found}


def places(text: str, info: SiteInfo) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of a site file (stop_lines, crosswalks, roadways, boxes) that GeoJSON describes.

    A feature is a place where its property ``kind`` says so, or an OSM crossing. Others are left aside.

    Raises:
        SiteError: no GeoJSON, no origin, or features that are no places; a line for each.
    """
    origin = origin_of(info)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SiteError([f"not a JSON text: {error}"]) from error
    listed = document.get("features") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise SiteError(["not a GeoJSON FeatureCollection: it has no list of features"])
    problems: list[str] = []
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES.values()}
    for number, feature in enumerate(listed, start=1):
        try:
            found = _place(feature, origin, info.bearing_deg)
        except ValueError as error:
            problems.append(f"feature {number}: {error}")
            continue
        if found is not None:
            tables[_TABLES[found[0]]].append(found[1])
    if not problems and not any(tables.values()):
        problems.append(
            f"none of its {len(listed)} features is a place: "
            f"expected a property kind, one of {', '.join(_SHAPES)}, or OSM footway=crossing"
        )
    if problems:
        raise SiteError(problems)
    return {name: rows for name, rows in tables.items() if rows}


def _feature(kind: str, coordinates: Sequence[Any], **properties: Any) -> dict[str, Any]:
    shape = _SHAPES[kind]
    rounded = [[round(lon, 9), round(lat, 9)] for lon, lat in coordinates]
    return {
        "type": "Feature",
        "properties": {
            "kind": kind,
            **{key: value for key, value in properties.items() if value is not None},
        },
        "geometry": {"type": shape, "coordinates": [rounded] if shape == "Polygon" else rounded},
    }


def _ring(origin: Origin, polygon: Sequence[Point]) -> list[tuple[float, float]]:
    points = list(polygon)
    # RFC 7946 3.1.6: the outer ring runs counter-clockwise.
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True))
    if area < 0:
        points.reverse()
    return [origin.globe(point) for point in (*points, points[0])]


def _place(feature: Any, origin: Origin, turn: float) -> tuple[str, dict[str, Any]] | None:
    """Return kind and row of one feature; None where it is no place of a site.

    Raises:
        ValueError: it is one, and something of it is wrong.
    """
    if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
        raise ValueError("is no GeoJSON feature")
    properties = feature.get("properties") or {}
    kind = properties.get("kind")
    geometry = feature.get("geometry")
    geometry = geometry if isinstance(geometry, dict) else {}
    if kind is None and properties.get("footway") == "crossing":
        return ("crosswalk", _crossing(properties, geometry, origin)) if "coordinates" in geometry else None
    if kind is None:
        return None
    if kind not in _SHAPES:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(_SHAPES)}")
    if geometry.get("type") != _SHAPES[kind]:
        raise ValueError(f"a {kind} is a {_SHAPES[kind]}, came {geometry.get('type')!r}")
    row: dict[str, Any] = {name: properties[name] for name in ("id", "signal_group") if properties.get(name)}
    if kind == "stop_line":
        row["line"] = _points(geometry.get("coordinates"), origin)
        bearing = properties.get("bearing_deg")
        if isinstance(bearing, bool) or not isinstance(bearing, int | float) or not math.isfinite(bearing):
            raise ValueError("bearing_deg: missing: the compass bearing of travel over the stop line")
        row["heading_deg"] = round((90.0 - bearing + turn + 180.0) % 360.0 - 180.0, 3)
        if properties.get("right_on_red"):
            row["right_on_red"] = properties["right_on_red"]
        return kind, row
    rings = geometry.get("coordinates")
    if not isinstance(rings, list) or len(rings) != 1:
        raise ValueError("a polygon with holes, or with none of its rings: a place is one outline")
    points = _points(rings[0], origin)
    row["polygon"] = points[:-1] if len(points) > 1 and points[0] == points[-1] else points
    return kind, row


def _crossing(properties: Mapping[str, Any], geometry: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    if geometry.get("type") != "LineString":
        raise ValueError(f"an OSM crossing is a LineString, came {geometry.get('type')!r}")
    try:
        width = float(properties.get("width", CROSSING_WIDTH_M))
    except (TypeError, ValueError):
        width = math.nan
    if not 0 < width <= WIDEST_CROSSING_M:  # a width in other words, or none at all: NaN fails too
        width = CROSSING_WIDTH_M
    way = LineString(_points(geometry.get("coordinates"), origin))
    if way.length == 0:
        raise ValueError("the crossing has no length: all its points are one")
    outline = way.buffer(max(width, 0.5) / 2, cap_style="flat", join_style="mitre").exterior.coords[:-1]
    name = str(properties.get("@id") or properties.get("id") or "crossing").rpartition("/")[2]
    return {"id": f"osm-{name}"[:40], "polygon": [[round(x, 3), round(y, 3)] for x, y in outline]}


def _points(coordinates: Any, origin: Origin) -> list[list[float]]:
    return [[round(x, 3), round(y, 3)] for x, y in _metres(coordinates, origin)]


def _metres(coordinates: Any, origin: Origin) -> Iterator[Point]:
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        raise ValueError("no coordinates")
    for position in coordinates:
        numbers = position[:2] if isinstance(position, list) else []
        if len(numbers) != 2 or not all(
            isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
            for each in numbers
        ):
            raise ValueError(f"{position!r} is no position (longitude, latitude)")
        lon, lat = numbers
        if abs(lon) > 180 or abs(lat) > 90:
            raise ValueError(f"[{lon}, {lat}] is no longitude and latitude")
        point = origin.metres(lon, lat)
        if math.hypot(*point) > _FURTHEST_M:
            raise ValueError(
                f"[{lon}, {lat}] lies {math.hypot(*point) / 1000:.0f} km from the site's origin "
                "(GeoJSON gives longitude first)"
            )
        yield point


def _earth(lat: float, lon: float) -> tuple[float, float, float]:
    """Return a point of the ellipsoid in earth-centred metres."""
    phi, lam = math.radians(lat), math.radians(lon)
    normal = _SEMI_MAJOR_M / math.sqrt(1 - _ECCENTRICITY2 * math.sin(phi) ** 2)
    return (
        normal * math.cos(phi) * math.cos(lam),
        normal * math.cos(phi) * math.sin(lam),
        normal * (1 - _ECCENTRICITY2) * math.sin(phi),
    )


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
