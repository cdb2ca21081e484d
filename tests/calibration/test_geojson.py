"""Places go to the globe and come back where they were; what is no place is refused with its reason."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from calibration.geojson import Origin, features, places
from calibration.site import Site, SiteError, SiteInfo, load_site
from tests.conftest import ROOT

STRUDL = load_site(ROOT / "examples" / "strudl" / "site.toml")
INFO = SiteInfo(id="a", origin_lat=59.33, origin_lon=18.07, bearing_deg=20.0)


def placed(info: SiteInfo = INFO) -> Site:
    return STRUDL.model_copy(update={"site": info})


@given(
    lat=st.floats(-80, 80),
    lon=st.floats(-180, 180),
    bearing=st.floats(-180, 180),
    x=st.floats(-2000, 2000),
    y=st.floats(-2000, 2000),
)
def test_metres_come_back_from_the_globe(lat: float, lon: float, bearing: float, x: float, y: float) -> None:
    origin = Origin(lat=lat, lon=lon, bearing_deg=bearing)
    assert origin.metres(*origin.globe((x, y))) == pytest.approx((x, y), abs=1e-4)


@pytest.mark.parametrize(
    ("bearing_deg", "point", "lon", "lat"),
    [
        pytest.param(0.0, (0.0, 111.0), "same", "more", id="y is north"),
        pytest.param(0.0, (111.0, 0.0), "more", "same", id="x is east"),
        pytest.param(90.0, (0.0, 111.0), "more", "same", id="y turned to the east"),
        pytest.param(180.0, (0.0, 111.0), "same", "less", id="y turned to the south"),
    ],
)
def test_the_bearing_turns_the_y_axis(
    bearing_deg: float, point: tuple[float, float], lon: str, lat: str
) -> None:
    def word(off: float) -> str:
        return "same" if abs(off) < 1e-6 else "more" if off > 0 else "less"

    found = Origin(lat=45.0, lon=7.0, bearing_deg=bearing_deg).globe(point)
    assert (word(found[0] - 7.0), word(found[1] - 45.0)) == (lon, lat)


def test_a_degree_of_latitude_is_as_long_as_wgs_84_says() -> None:
    """110 574 m at the equator, 111 133 m at 45 degrees (NIMA TR8350.2); here over a thousandth."""
    for lat, length in ((0.0, 110.574), (45.0, 111.132)):
        metres = Origin(lat=lat, lon=0.0).metres(0.0, lat + 1e-3)
        assert math.hypot(*metres) == pytest.approx(length, abs=2e-3)


def test_a_site_exported_and_imported_is_the_same() -> None:
    site = placed()
    found = places(json.dumps(features(site)), site.site)
    for mine, theirs in zip(found["stop_lines"], site.stop_lines, strict=True):
        assert (mine["id"], mine["signal_group"]) == (theirs.id, theirs.signal_group)
        assert (mine["heading_deg"] - theirs.heading_deg) % 360 == pytest.approx(0, abs=0.01)
        for point, known in zip(mine["line"], theirs.line, strict=True):
            assert point == pytest.approx(known, abs=0.002)
    for table, rows in (("crosswalks", site.crosswalks), ("roadways", site.roadways)):
        for mine, theirs in zip(found[table], rows, strict=True):
            off = Polygon(mine["polygon"]).symmetric_difference(Polygon(theirs.polygon))
            assert off.area < 0.01 * Polygon(theirs.polygon).length


def test_outer_rings_run_counter_clockwise() -> None:
    for feature in features(placed())["features"]:
        if feature["geometry"]["type"] == "Polygon":
            (ring,) = feature["geometry"]["coordinates"]
            assert ring[0] == ring[-1]
            assert sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)) > 0


def test_a_crossing_of_openstreetmap_becomes_a_crosswalk() -> None:
    origin = Origin(lat=INFO.origin_lat or 0, lon=INFO.origin_lon or 0, bearing_deg=INFO.bearing_deg)
    way = {
        "type": "Feature",
        "properties": {"@id": "way/1234", "highway": "footway", "footway": "crossing", "width": "4"},
        "geometry": {"type": "LineString", "coordinates": [origin.globe((0, 0)), origin.globe((12, 0))]},
    }
    tree = {"type": "Feature", "properties": {"natural": "tree"}, "geometry": None}
    (crosswalk,) = places(json.dumps({"type": "FeatureCollection", "features": [way, tree]}), INFO)[
        "crosswalks"
    ]
    assert crosswalk["id"] == "osm-1234"
    xs, ys = zip(*crosswalk["polygon"], strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == pytest.approx((0, 12, -2, 2), abs=0.01)


def feature(kind: str, shape: str, coordinates: Any, **properties: Any) -> str:
    one = {
        "properties": {"kind": kind, **properties},
        "geometry": {"type": shape, "coordinates": coordinates},
    }
    return json.dumps({"type": "FeatureCollection", "features": [one]})


NEAR = [[18.07, 59.33], [18.0701, 59.33], [18.0701, 59.3301]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "not a JSON text", id="no JSON"),
        pytest.param("[" * 100_000, "not a JSON text", id="brackets without end"),
        pytest.param("[]", "FeatureCollection", id="a list"),
        pytest.param('{"features": []}', "is a place", id="nothing in it"),
        pytest.param('{"features": [3]}', "feature 1: is no GeoJSON feature", id="a number"),
        pytest.param(feature("tree", "Point", [0, 0]), "kind 'tree' is not one of", id="another kind"),
        pytest.param(feature("crosswalk", "Point", [0, 0]), "a crosswalk is a Polygon", id="a point"),
        pytest.param(feature("crosswalk", "Polygon", [NEAR, NEAR]), "with holes", id="a hole"),
        pytest.param(feature("stop_line", "LineString", NEAR[:2]), "bearing_deg: missing", id="no direction"),
        pytest.param(
            feature("crosswalk", "Polygon", [[[59.33, 18.07]] * 4]), "longitude first", id="latitude first"
        ),
        pytest.param(feature("crosswalk", "Polygon", [[["a", 1]] * 4]), "no position", id="a word"),
        pytest.param(feature("crosswalk", "Polygon", [[[1e400, 1]] * 4]), "no position", id="infinity"),
    ],
)
def test_what_is_no_place_is_refused(text: str, message: str) -> None:
    with pytest.raises(SiteError, match=message):
        places(text, INFO)


def crossing(coordinates: Any, **properties: Any) -> str:
    way = {"type": "LineString", "coordinates": coordinates}
    tags = {"footway": "crossing", "id": "way/7", **properties}
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": tags, "geometry": way}],
        }
    )


@pytest.mark.parametrize("width", ["nan", "inf", "-2", "wide", 1e9, None])
def test_a_crossing_of_a_width_nobody_can_use_gets_the_usual_one(width: Any) -> None:
    lon, lat = INFO.origin_lon, INFO.origin_lat
    assert lon is not None and lat is not None
    way = [[lon, lat], [lon, lat + 0.0001]]
    usual = places(crossing(way), INFO)
    assert places(crossing(way, width=width), INFO) == usual


def test_a_stop_line_without_coordinates_and_a_crossing_of_one_point_are_told() -> None:
    line = {"type": "Feature", "properties": {"kind": "stop_line"}, "geometry": {"type": "LineString"}}
    with pytest.raises(SiteError, match="feature 1: no coordinates"):
        places(json.dumps({"type": "FeatureCollection", "features": [line]}), INFO)
    here = [INFO.origin_lon, INFO.origin_lat]
    with pytest.raises(SiteError, match="feature 1: the crossing has no length"):
        places(crossing([here, here]), INFO)


def test_every_mistake_is_told_at_once() -> None:
    two = json.loads(feature("tree", "Point", [0, 0]))["features"] * 2
    with pytest.raises(SiteError) as caught:
        places(json.dumps({"features": two}), INFO)
    assert [line.partition(":")[0] for line in caught.value.problems] == ["feature 1", "feature 2"]


def test_without_an_origin_nothing_can_be_exported() -> None:
    with pytest.raises(SiteError, match="origin_lat"):
        features(STRUDL)


def test_half_an_origin_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="belong together"):
        SiteInfo(id="a", origin_lat=1.0)
