"""The calibrate page under hands that do odd things: other sizes, two tabs, plan pictures, moved cameras."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.editor.app import Desk
from calibration.editor.server import EditorServer
from calibration.editor.site_file import SiteFile
from tests.calibration.test_editor_browser import Hand, browser
from tests.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXAMPLE = (ROOT / "examples" / "strudl" / "site.toml").read_text()


def street(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    small = rng.integers(60, 160, (height // 8, width // 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def png(picture: np.ndarray) -> bytes:
    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray(picture).save(kept, "PNG")
    return kept.getvalue()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


class Room:
    """A desk, its server, and pages opened at it."""

    def __init__(
        self, chromium: Any, folder: Path, *, text: str | None, size: tuple[int, int], **more: Any
    ) -> None:
        self.path = folder / "site.toml"
        if text is not None:
            self.path.write_text(text)
        self.saved: list[str] = []
        desk = Desk(
            file=SiteFile(self.path),
            name="Straße – 交差点.mp4",
            background=street(*size),
            saved=lambda site: self.saved.append(site.id),
            **more,
        )
        self.server = EditorServer(desk, port=0)
        self.server.start()
        self.context = chromium.new_context(viewport={"width": 1400, "height": 800})

    def hand(self) -> Hand:
        hand = Hand(self.context.new_page())
        hand.page.set_default_timeout(15_000)
        hand.open(self.server.url)
        return hand

    def close(self) -> None:
        self.context.close()
        self.server.close()


@pytest.fixture
def room(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    rooms: list[Room] = []

    def opened(text: str | None = EXAMPLE, size: tuple[int, int] = (640, 480), **more: Any) -> Room:
        rooms.append(Room(chromium, tmp_path, text=text, size=size, **more))
        return rooms[-1]

    yield opened
    for each in rooms:
        each.close()


def said(hand: Hand, name: str) -> str:
    hand.page.wait_for_selector(f'.banner[data-name="{name}"]')
    return str(hand.page.text_content(f'.banner[data-name="{name}"]'))


def test_a_recording_of_another_size_is_told_and_its_points_are_scaled(room: Any) -> None:
    one = room(size=(1280, 960))
    hand = one.hand()
    assert "640 × 480, this recording has 1280 × 960" in said(hand, "size")
    hand.page.keyboard.press("Control+s")
    assert "image_size" in said(hand, "problems")
    assert one.path.read_text() == EXAMPLE
    hand.page.click('.banner[data-name="problems"] >> text=Close')
    hand.page.click("text=Scale all image points")
    hand.settle()
    hand.page.locator("#camera").focus()
    hand.page.keyboard.press("Control+s")
    said(hand, "saved")
    text = one.path.read_text()
    assert "image_size = [1280, 960]" in text and "px = [153.8, 304" in text and one.saved == ["strudl"]
    assert "[32, 4, 524, 60]" in text  # burned-in text, too
    assert hand.errors == []


def test_an_upright_recording_is_another_shape(room: Any) -> None:
    hand = room(size=(480, 640)).hand()
    assert "another shape" in said(hand, "size")
    assert hand.page.locator("text=Scale all image points").count() == 0
    box = hand.page.locator("#camera").bounding_box()
    x, y = hand.at("camera", (480, 640))
    assert x <= box["x"] + box["width"] and y <= box["y"] + box["height"], "the whole picture is seen"


def test_two_tabs_of_one_site_know_of_each_other(room: Any) -> None:
    one = room()
    first, second = one.hand(), one.hand()
    second.tab("site")
    second.fill("site.name", "of the second tab")
    assert "another tab" in said(first, "tabs")
    second.page.keyboard.press("Control+s")
    said(second, "saved")
    first.tab("site")
    first.fill("site.name", "of the first tab")
    first.page.keyboard.press("Control+s")
    assert "was changed by something else" in said(first, "problems")
    assert "of the second tab" in one.path.read_text()
    first.page.click("text=Write over it")
    said(first, "saved")
    assert "of the first tab" in one.path.read_text()


def test_a_plan_picture_is_laid_by_its_scale_and_by_two_points(room: Any) -> None:
    hand = room(text=None, aerial=(png(street(400, 300)), "image/png")).hand()
    assert "First lay the plan picture" in str(hand.page.inner_text("#coach"))
    hand.tab("site")
    hand.page.fill('[aria-label="metres a pixel"]', "0.1")
    hand.page.click("text=Lay it")
    placed = "() => JSON.parse(Object.values(localStorage)[0]).aerial"
    assert hand.page.evaluate(placed) == {"px": [[200, 150], [300, 150]], "m": [[0, 0], [10, 0]]}
    # The corner of the picture is 20 m west and 15 m north: a click there is those metres.
    hand.look_at("plan", (0.0, 0.0), scale=8.0)
    hand.tool("a")
    hand.click("plan", (-10.0, 0.0))
    hand.click("plan", (10.0, 0.0))
    for key, value in (("aerial.0.0", "0"), ("aerial.0.1", "0"), ("aerial.1.0", "0"), ("aerial.1.1", "40")):
        hand.fill(key, value)
    hand.page.click("text=Lay it there")
    laid = hand.page.evaluate(placed)
    assert laid["m"] == [[0, 0], [0, 40]] and np.allclose(laid["px"], [[100, 150], [300, 150]], atol=1.5)
    assert hand.errors == []


def test_a_camera_that_moved_is_told_and_the_points_follow(room: Any) -> None:
    moved = {
        "text": "The camera has moved by 6.0 px, 0.21 m on the road, since.",
        "points": [[1, 0, 6], [0, 1, 0]],
    }
    hand = room(moved=moved).hand()
    assert "moved by 6.0 px, 0.21 m" in said(hand, "moved")
    before = float(hand.page.input_value('[data-key="points.0.u"]'))
    hand.page.click("text=Move all image points along")
    hand.settle()
    assert float(hand.page.input_value('[data-key="points.0.u"]')) == before + 6
    hand.page.locator("#camera").focus()
    hand.page.keyboard.press("Control+z")
    hand.settle()
    assert float(hand.page.input_value('[data-key="points.0.u"]')) == before


def test_a_file_that_is_no_geojson_changes_nothing(room: Any, tmp_path: Path) -> None:
    hand = room().hand()
    hand.tab("site")
    for key, value in (("site.origin_lat", "59.3"), ("site.origin_lon", "18.1")):
        hand.fill(key, value)
    (tmp_path / "photo.json").write_bytes(b"\x89PNG\r\n")
    hand.page.set_input_files("#import", tmp_path / "photo.json")
    assert "not a JSON text" in said(hand, "geojson")
    crossing = {
        "type": "Feature",
        "properties": {"footway": "crossing", "@id": "way/77"},
        "geometry": {"type": "LineString", "coordinates": [[18.1, 59.3], [18.1002, 59.3]]},
    }
    (tmp_path / "osm.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [crossing]}))
    hand.page.set_input_files("#import", tmp_path / "osm.geojson")
    hand.page.wait_for_selector(".banner.good")
    hand.tab("places")
    assert hand.page.locator("text=osm-77").count() == 1


def test_keys_clicks_and_double_clicks_of_an_impatient_hand(room: Any) -> None:
    hand = room().hand()
    page = hand.page
    hand.tool("c")
    hand.look_at("plan", (8.0, 10.0), scale=10.0)
    page.mouse.dblclick(*hand.at("plan", (6.0, 8.0)))
    page.mouse.dblclick(*hand.at("plan", (9.0, 8.0)))
    page.mouse.click(*hand.at("plan", (9.0, 11.0)))
    page.mouse.dblclick(*hand.at("plan", (6.0, 11.0)))
    hand.settle()
    assert page.input_value('[data-key="crosswalks.4.id"]') == "crosswalk-1"
    corners = page.evaluate("() => JSON.parse(Object.values(localStorage)[0]).document.crosswalks[4].polygon")
    assert np.allclose(corners, [[6, 8], [9, 8], [9, 11], [6, 11]], atol=0.1), "a double click is one corner"
    page.locator("#plan").focus()
    for _ in range(30):
        page.keyboard.press("Delete")
    hand.settle()
    page.keyboard.press("Control+z")
    hand.settle()
    hand.tab("places")
    assert page.locator("text=crosswalk-1").count() >= 1
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")
    assert hand.errors == []


@pytest.mark.parametrize(
    "size", [(1100, 700), (700, 600), (420, 640)], ids=lambda size: "x".join(map(str, size))
)
def test_in_a_small_window_everything_is_reached(room: Any, size: tuple[int, int]) -> None:
    hand = room().hand()
    page = hand.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.wait_for_timeout(150)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    for name in ("#save", "#tools button >> nth=8", "#camera", "#plan", "[data-tab=site]"):
        page.locator(name).scroll_into_view_if_needed()
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= size[0] + 1, name
    assert page.locator("#camera").bounding_box()["height"] > 150
    if folder := os.environ.get("NEARMISS_LOOKED_AT"):
        page.screenshot(path=f"{folder}/{size[0]}.png", full_page=True)


def test_metres_that_were_half_typed_go_with_their_point(room: Any) -> None:
    hand = room(text=None).hand()
    hand.tool("p")
    hand.click("camera", (100, 300))
    hand.page.wait_for_selector('input:focus[data-key="points.0.x"]')
    hand.page.keyboard.type("5")
    hand.page.keyboard.press("Tab")
    hand.page.wait_for_selector('input:focus[data-key="points.0.y"]')
    hand.page.locator("#camera").focus()
    hand.page.keyboard.press("Delete")
    hand.tool("p")
    hand.click("camera", (300, 300))
    hand.page.wait_for_selector('input:focus[data-key="points.0.x"]')
    assert hand.page.input_value('[data-key="points.0.x"]') == ""
    assert hand.errors == []


def test_tracks_are_replayed_with_their_speeds(room: Any) -> None:
    track = {"kind": "car", "odd": False, "fastest_mps": 9.0, "t": [0.0, 1.0, 2.0], "x": [0.0, 8.0, 16.0],
             "y": [8.0, 8.0, 8.0], "v": [8.0, 8.0, 8.0]}  # fmt: skip
    kinds = [{"kind": "car", "count": 1, "median_mps": 9.0, "fastest_mps": 9.0, "odd": 0}]
    hand = room(tracks={"start": 0.0, "end": 2.0, "tracks": [track], "kinds": kinds}).hand()
    hand.tab("checks")
    assert "32" in str(hand.page.text_content(".sheet table"))
    hand.page.click("text=Play")
    hand.page.wait_for_function("() => parseFloat(document.querySelector('input[type=range]').value) > 0.2")
    hand.page.click("text=Pause")
    assert hand.errors == []
