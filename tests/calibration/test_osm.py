"""Crosswalks come from OpenStreetMap and from Lanelet2 maps where they lie; what is no map is told."""

from __future__ import annotations

from typing import Any

import pytest
from shapely.geometry import Polygon

from calibration import osm
from calibration.geojson import Origin, places
from calibration.osm import as_geojson, is_osm
from calibration.site import SiteError, SiteInfo

pytest.importorskip("osmium", reason="the extra [osm] is not installed")

INFO = SiteInfo(id="a", origin_lat=59.33, origin_lon=18.07)
ORIGIN = Origin(lat=59.33, lon=18.07, bearing_deg=0.0)


def node(number: int, x: float, y: float) -> str:
    lon, lat = ORIGIN.globe((x, y))
    return f'<node id="{number}" lat="{lat:.9f}" lon="{lon:.9f}" version="1"/>'


def way(number: int, nodes: list[int], **tags: str) -> str:
    refs = "".join(f'<nd ref="{each}"/>' for each in nodes)
    return f'<way id="{number}" version="1">{refs}{tagged(tags)}</way>'


def tagged(tags: dict[str, str]) -> str:
    return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())


def lanelet(number: int, left: int, right: int, subtype: str = "crosswalk") -> str:
    members = f'<member type="way" ref="{left}" role="left"/><member type="way" ref="{right}" role="right"/>'
    tags = tagged({"type": "lanelet", "subtype": subtype})
    return f'<relation id="{number}" version="1">{members}{tags}</relation>'


def file(*parts: str) -> str:
    return f'<?xml version="1.0"?>\n<osm version="0.6" generator="test">{"".join(parts)}</osm>'


CORNERS = (node(-1, -6, 9), node(-2, 6, 9), node(-3, -6, 5), node(-4, 6, 5))


def crosswalks(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = places(as_geojson(text), INFO)["crosswalks"]
    return found


@pytest.mark.parametrize("right", [[-3, -4], [-4, -3]], ids=["drawn alike", "drawn the other way"])
def test_a_lanelet_of_a_crosswalk_is_the_area_between_its_sides(right: list[int]) -> None:
    road = lanelet(-31, -10, -11, "road")
    (found,) = crosswalks(file(*CORNERS, way(-10, [-1, -2]), way(-11, right), lanelet(-30, -10, -11), road))
    outline = Polygon(found["polygon"])
    assert found["id"] == "lanelet-30"
    assert outline.is_valid
    assert outline.area == pytest.approx(48.0, abs=0.1)
    assert outline.bounds == pytest.approx((-6, 5, 6, 9), abs=0.01)


def test_a_crossing_of_openstreetmap_is_as_wide_as_it_says() -> None:
    here = (node(1, 0, -6), node(2, 0, 6))
    text = file(*here, way(7, [1, 2], footway="crossing", width="4"), way(8, [1, 2], highway="footway"))
    (found,) = crosswalks(text)
    assert found["id"] == "osm-7"
    assert Polygon(found["polygon"]).bounds == pytest.approx((-2, -6, 2, 6), abs=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("<html><p>no map</p></html>", "not an OSM file", id="another XML"),
        pytest.param("<osm version='0.6'><node", "not an OSM file", id="it breaks off"),
        pytest.param("<!DOCTYPE x [<!ENTITY a 'b'>]><osm/>", "declares a document type", id="entities"),
        pytest.param(file(*CORNERS), "none of its 0 features", id="no crosswalk in it"),
        pytest.param(
            file(*CORNERS, way(-10, [-1, -2]), lanelet(-30, -10, -99)),
            "no coordinates",
            id="a side is missing",
        ),
    ],
)
def test_what_is_no_map_is_told(text: str, message: str) -> None:
    assert is_osm(text)
    with pytest.raises(SiteError, match=message):
        crosswalks(text)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "osmium", None)
    with pytest.raises(SiteError, match="nearmiss\\[osm\\]") as error:
        as_geojson(file())
    assert error.value.problems == (osm.EXTRA,)
