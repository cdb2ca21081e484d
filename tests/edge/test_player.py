"""The player in a real browser, under the strictest policy a page can have, and from disk in a report."""

from __future__ import annotations

import base64
import http.server
import json
import random
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from broker import player
from broker.drawing import Clip, Plate
from broker.wire import ROAD_USERS, RULES, STATES
from edge.plan import plate_of
from edge.recorder import Recorder
from edge.report import write_report
from edge.rules.finding import Finding
from edge.scene import RoadUser
from edge.site_map import COLOURS
from edge.sketch import SketchBox
from tests.browser import chromium as chromium
from tests.browser import watched

from .drawn import SIZE, Lamps, pinhole, scene, site, sketch
from .test_report import event, report

pytestmark = pytest.mark.browser

PLACE = site(pinhole())
EVENT = 20.0


def clip() -> Clip:
    """Return a clip: a car drives north, somebody waits at x = 6 without motion, and a second is blank."""
    recorder = Recorder(PLACE, image_size=SIZE, rng=random.Random(1))
    lamps = Lamps({"N": [(10.0, "green"), (EVENT - 1.0, "red")], "ped": [(0.0, "flashing_amber")]})
    plane = pinhole()
    for n in range(301):
        time = EVENT - 6 + n / 25
        users = []
        for track, kind, x, y, heading in (
            (1, "car", 0.0, 22.0 + 2.0 * (time - EVENT), 90.0),
            (2, "pedestrian", 6.0, 18.0, float("nan")),
        ):
            u, v = (float(each) for each in plane.image((x, y)))
            users.append(RoadUser(track, kind, x, y, heading, 9.9, 9.9, 0.1, len(users), (u, v)))  # type: ignore[arg-type]
        boxes = [SketchBox(0, 0, 40, 80, each.kind, moved=each.kind == "car") for each in users]
        blank = 3.0 < time - EVENT < 4.0
        recorder.add(
            sketch(time, *([] if blank else boxes), cells=(41, 42), faulty=blank),
            scene(time, *users, lamps=lamps),
        )
    recorder.hold(Finding("near_miss", "occurred", EVENT, 0.1, "N", "car", None, {}, 0.0, 22.0, (1,)))
    ((_, made),) = recorder.flush()
    assert made is not None
    return made


def plate(*, picture: bool = True) -> Plate:
    green = np.zeros((240, 320, 3), np.uint8)
    green[:] = (60, 120, 60)
    png = base64.b64encode(cv2.imencode(".png", green)[1].tobytes()).decode()
    return plate_of(PLACE, pinhole(), image_size=SIZE, background=png if picture else None)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves the player and one page, under ``default-src 'self'`` and nothing else."""

    files: dict[str, tuple[str, bytes]]

    def do_GET(self) -> None:
        kind, content = self.files.get(self.path, ("text/plain", b""))
        self.send_response(200 if self.path in self.files else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>clip</title>
<link rel="icon" href="/icon"><link rel="stylesheet" href="/player.css"></head>
<body><div id="here"></div><script type="module" src="/page.js"></script></body></html>"""
SCRIPT = b"""import { mount } from "/player.js";
import { LAMPS } from "/clip.js";
import { KINDS, RULES, STATES } from "/words.js";
const records = await (await fetch("/records.json")).json();
window.player = mount(document.getElementById("here"), records);
const names = { rules: RULES, states: STATES, lamps: LAMPS, kinds: KINDS };
window.names = Object.fromEntries(Object.entries(names).map(([name, words]) => [name, Object.keys(words)]));
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    records = {"clip": clip(), "plate": plate(), "event": event()}
    text = {name: json.loads(record.encode()) for name, record in records.items()}
    Server.files = {
        "/": ("text/html", PAGE),
        "/page.js": ("text/javascript", SCRIPT),
        "/player.css": ("text/css", player.style().encode()),
        **{f"/{name}": ("text/javascript", text.encode()) for name, text in player.modules().items()},
        "/records.json": ("application/json", json.dumps(text).encode()),
        "/icon": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def tab(chromium: Any) -> Iterator[Any]:
    opened = chromium.new_page(viewport={"width": 1100, "height": 800})
    opened.complaints = []
    # A breach of the page's policy is told on the console.
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    opened.close()


@pytest.fixture
def page(tab: Any, address: str) -> Iterator[Any]:
    tab.complaints.clear()
    tab.goto(address)
    tab.wait_for_selector(".nm-player")
    yield tab
    assert tab.complaints == []


def wait_until(page: Any, expression: str) -> None:
    """Wait for an expression; asked from outside, for the page's policy forbids evaluation inside it."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"never true: {expression}")


def clock(page: Any) -> str:
    return str(page.locator(".nm-clock").inner_text())


def box_of(page: Any, what: str) -> dict[str, float]:
    """Return the bounding box of a drawn shape in the units of its drawing."""
    found: dict[str, float] = page.locator(what).evaluate(
        "shape => { const b = shape.getBBox(); return {x: b.x, y: b.y, width: b.width, height: b.height}; }"
    )
    return found


def test_it_opens_at_the_instant_of_the_event_in_both_views(page: Any) -> None:
    assert clock(page) == "0.0 s"
    assert page.locator("figure.nm-view svg").count() == 2
    assert page.locator(".nm-camera .nm-glyph").count() == 2
    assert page.locator(".nm-plan .nm-glyph").count() == 2


def test_a_car_is_as_large_as_its_class_and_where_it_was(page: Any) -> None:
    """From above 4.4 x 1.8 m, though the record of the tracker said 9.9 m."""
    car = box_of(page, ".nm-plan .nm-kind-car .nm-body")
    assert (car["width"], car["height"]) == (pytest.approx(1.8, abs=0.02), pytest.approx(4.4, abs=0.02))
    assert (car["x"] + 0.9, car["y"] + 2.2) == (pytest.approx(0.0, abs=0.2), pytest.approx(-22.0, abs=0.2))
    page.evaluate("player.seek(-3)")
    moved = box_of(page, ".nm-plan .nm-kind-car .nm-body")
    assert moved["y"] + 2.2 == pytest.approx(-16.0, abs=0.3)


def test_a_pedestrian_stands_on_the_road_in_the_cameras_view(page: Any) -> None:
    body = box_of(page, ".nm-camera .nm-kind-pedestrian .nm-body")
    u, v = pinhole().image((6.0, 18.0))
    scale = float(pinhole().px_per_m((6.0, 18.0)))
    assert body["x"] + body["width"] / 2 == pytest.approx(u, abs=3)
    assert body["y"] + body["height"] == pytest.approx(v, abs=3)
    assert 1.2 * scale < body["height"] < 1.75 * scale


def test_the_car_stands_on_its_place_in_the_cameras_view(page: Any) -> None:
    body = box_of(page, ".nm-camera .nm-kind-car .nm-body")
    corners = pinhole().image([(x, y) for x in (-0.9, 0.9) for y in (19.8, 24.2)])
    assert body["x"] == pytest.approx(corners[:, 0].min(), abs=6)
    assert body["x"] + body["width"] == pytest.approx(corners[:, 0].max(), abs=6)
    assert body["y"] + body["height"] == pytest.approx(corners[:, 1].max(), abs=6)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["ArrowRight"], "+0.1 s"),
        (["ArrowLeft", "ArrowLeft", "ArrowLeft"], "−0.3 s"),
        (["Shift+ArrowRight"], "+1.0 s"),
        (["Home"], "−5.0 s"),
        (["End"], "+5.0 s"),
        (["End", "0"], "0.0 s"),
        (["End", "ArrowRight"], "+5.0 s"),
    ],
)
def test_the_keyboard_moves_in_time(page: Any, keys: list[str], words: str) -> None:
    page.locator(".nm-player").focus()
    for key in keys:
        page.keyboard.press(key)
    assert clock(page) == words


def test_buttons_and_the_slider_move_in_time(page: Any) -> None:
    page.locator('[data-action="forward"]').click()
    page.locator('[data-action="forward"]').click()
    assert clock(page) == "+0.2 s"
    page.locator('[data-action="back"]').click()
    assert clock(page) == "+0.1 s"
    page.locator("input[type=range]").fill("-2.5")
    assert clock(page) == "−2.5 s"
    page.locator('[data-action="event"]').click()
    assert clock(page) == "0.0 s"


def test_it_plays_at_the_speed_asked_for_and_stops_at_the_end(page: Any) -> None:
    page.locator("select").select_option("4")
    page.evaluate("player.seek(-2)")
    page.locator('[data-action="toggle"]').click()
    assert page.locator('[data-action="toggle"]').get_attribute("aria-label") == "Pause"
    wait_until(page, "player.time > 4.999")
    assert page.locator('[data-action="toggle"]').get_attribute("aria-label") == "Play"


def test_a_loop_stays_around_the_event(page: Any) -> None:
    page.locator("select").select_option("4")
    page.locator(".nm-player").focus()
    page.keyboard.press("l")
    page.evaluate("player.seek(1.8); player.play();")
    wait_until(page, "player.time < 1.7")
    seen = [page.evaluate("player.time") for _ in range(100)]
    page.evaluate("player.pause()")
    assert -2.0 <= min(seen) <= max(seen) <= 2.0


def test_lamps_are_drawn_from_data(page: Any) -> None:
    page.evaluate("player.seek(-2)")
    assert page.locator(".nm-camera .nm-lamp-green.nm-lit").count() == 1
    assert page.locator(".nm-plan .nm-stop_line").get_attribute("data-state") == "green"
    page.evaluate("player.seek(0.5)")
    assert page.locator(".nm-camera .nm-lit").get_attribute("class") == "nm-lamp nm-lamp-red nm-lit"
    assert "N red, 1.5 s" in " ".join(page.locator(".nm-signals li").first.inner_text().split())
    states = []
    for time in (1.2, 1.7):
        page.evaluate(f"player.seek({time})")
        states.append(page.locator(".nm-plan .nm-crosswalk").get_attribute("data-state"))
    assert states == ["amber", "off"]


def test_what_has_no_motion_is_hollow_and_the_legend_says_so(page: Any) -> None:
    assert "nm-hollow" in str(page.locator(".nm-camera .nm-kind-pedestrian.nm-glyph").get_attribute("class"))
    assert "nm-hollow" not in str(page.locator(".nm-camera .nm-kind-car.nm-glyph").get_attribute("class"))
    assert "hollow: nothing moved in its box" in page.locator(".nm-legend").inner_text()


def test_who_stands_keeps_the_heading_they_came_with(page: Any) -> None:
    """A standing box turns by the noise of its sides; what is drawn does not."""
    turned = page.evaluate(
        """async () => {
          const { steadied } = await import("/clip.js");
          const key = (step, y, heading) => [step, null, null, 0, y, heading];
          const ways = [[0, 0, 6], [10, 40, 6], [20, 44, 6], [30, 44, 7], [40, 44, 5], [50, 44, 7]];
          const drive = ways.map((way) => key(...way));
          const parked = [key(0, 0, 3), key(50, 0, 4)];
          const off = [[0, 0, 5], [10, 0, 7], [20, 0, 5], [26, 2, 7], [32, 12, 6], [40, 40, 6]];
          const leave = off.map((way) => key(...way));
          return [drive, parked, leave].map((keys) => steadied(keys, 0.1).map((each) => each[5]));
        }"""
    )
    assert turned == [[6, 6, 6, 6, 6, 6], [3, 4], [6, 6, 6, 6, 6, 6]], (
        "who never moves is drawn as it was seen"
    )


def test_numbers_cover_neither_feet_nor_each_other(page: Any) -> None:
    apart = page.evaluate(
        """async () => {
          const { arrange, badgeOf } = await import("/badges.js");
          const layer = document.createElementNS("http://www.w3.org/2000/svg", "g");
          const wanted = [[50, 50], [51, 50], [50, 47], [52, 46], [49, 44]].map(([x, y], n) => {
            const role = n ? "other" : "first";
            const badge = badgeOf({ kind: "pedestrian", number: n + 1, role }, layer, 1);
            return { badge, head: [x, y - 2], feet: [x, y] };
          });
          arrange(wanted, 1, [0, 0, 100, 60]);
          return wanted.map(({ badge, feet }) => {
            const [x, y] = badge.group.getAttribute("transform").match(/-?[\\d.]+/g).map(Number);
            return { x, y, w: badge.half, h: badge.tall, feet };
          });
        }"""
    )
    for n, one in enumerate(apart):
        for other in apart[n + 1 :]:
            beside = abs(one["x"] - other["x"]) >= one["w"] + other["w"] - 1e-3
            assert beside or abs(one["y"] - other["y"]) >= one["h"] + other["h"] - 1e-3
        for fx, fy in (each["feet"] for each in apart):
            assert abs(one["x"] - fx) >= one["w"] or abs(one["y"] - fy) >= one["h"]


def test_a_stop_line_is_not_hidden_by_who_stands_on_it(page: Any) -> None:
    order = page.evaluate(
        "[...document.querySelectorAll('.nm-plan .nm-body, .nm-plan .nm-stop_line')].map(e => e.classList[0])"
    )
    assert order[-1] == "nm-zone" and "nm-body" in order


def test_lamps_are_named_at_their_places(page: Any) -> None:
    assert set(page.locator(".nm-plan .nm-group").all_text_contents()) == {"N", "ped"}
    page.evaluate("player.seek(-4.9)")
    assert "green, more than" in page.locator(".nm-signals li").first.inner_text()


def test_a_blank_instant_shows_nobody_and_says_why(page: Any) -> None:
    page.evaluate("player.seek(3.5)")
    assert page.locator(".nm-blank:not(.nm-gone)").count() == 2
    assert page.locator(".nm-glyph:not(.nm-gone)").count() == 0
    page.evaluate("player.seek(4.5)")
    assert page.locator(".nm-glyph:not(.nm-gone)").count() == 4


def test_motion_nobody_explains_is_marked_in_its_cells(page: Any) -> None:
    cells = box_of(page, ".nm-movers")
    # Cells 41 and 42 of rows of twenty: third row, second and third column of 32 px.
    assert 32 <= cells["x"] < 40
    assert 64 <= cells["y"] < 72
    assert cells["x"] + cells["width"] <= 96


def test_the_plate_is_drawn_behind_without_a_data_address(page: Any) -> None:
    page.wait_for_selector("canvas[data-ready=yes]")
    colour = page.locator("canvas").evaluate("c => [...c.getContext('2d').getImageData(300, 200, 1, 1).data]")
    assert colour == [60, 120, 60, 255]
    assert page.locator("image, img").count() == 0


def test_everything_has_a_name_for_those_who_do_not_see_it(page: Any) -> None:
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input, svg[role=img], [role=group]')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim())).length"
    )
    assert unnamed == 0
    label = page.locator(".nm-player").get_attribute("aria-label")
    assert "Red-light entry at N; 1 car, 1 pedestrian" in label


def test_it_has_words_for_every_rule_state_and_kind(page: Any) -> None:
    told = page.evaluate("names")
    assert {name: set(words) for name, words in told.items()} == {
        "rules": set(RULES),
        "states": set(STATES),
        "lamps": set(STATES),
        "kinds": set(ROAD_USERS),
    }


def test_it_speaks_another_language(page: Any) -> None:
    page.evaluate(
        """async () => {
          const { speak } = await import("/words.js");
          const { mount } = await import("/player.js");
          const at = "{rule} at {place}";
          speak("de", { "Red-light entry": "Einfahrt bei Rot", car: "Pkw", [at]: "{rule}, {place}" });
          window.player = mount(document.getElementById("here"), await (await fetch("/records.json")).json());
          speak("en", {});
        }"""
    )
    label = page.locator(".nm-player").get_attribute("aria-label")
    assert "Einfahrt bei Rot, N; 1 Pkw" in label


def test_it_takes_itself_away(page: Any) -> None:
    page.evaluate("player.play(); player.destroy()")
    assert page.locator("#here > *").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_plays_from_disk_without_a_network(chromium: Any, tmp_path: Path, scheme: str) -> None:
    whole = report(plate=plate())
    write_report(tmp_path / "report.html", whole)
    asked: list[str] = []
    with watched(chromium, also=True, color_scheme=scheme) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        page.locator(".clip").first.scroll_into_view_if_needed()
        page.wait_for_selector(".clip canvas[data-ready=yes]")
        assert page.locator(".nm-player").count() == 1
        assert asked == [(tmp_path / "report.html").as_uri()]


def test_without_a_plate_the_plan_is_drawn_in_both_views(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    page.goto(address)
    page.wait_for_selector(".nm-player")
    records = json.dumps(
        {"clip": json.loads(clip().encode()), "plate": json.loads(plate(picture=False).encode())}
    )
    page.evaluate(
        "async (text) => { const { mount } = await import('/player.js');"
        " mount(document.getElementById('here'), JSON.parse(text)); }",
        records,
    )
    assert page.locator("canvas").count() == 0
    assert page.locator(".nm-camera .nm-schematic .nm-crosswalk").count() == 1
    assert page.locator(".nm-plan .nm-schematic .nm-crosswalk").count() == 1
    page.close()


def test_a_kind_has_one_colour_in_the_player_and_on_the_map() -> None:
    style = player.style()
    light = style[: style.index("@media")]
    for kind in ROAD_USERS:
        assert f"--nm-c-{kind}: {COLOURS[kind]};" in light


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2 of ``#rrggbb``."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_number_can_be_read_on_every_class_in_light_and_dark() -> None:
    """axe does not look into drawings: 4.5 to 1 is what WCAG AA asks of text this small."""
    light, dark = player.style().split("@media (prefers-color-scheme: dark)")[:2]
    for style in (light, dark):
        (on,) = re.findall(r"--nm-on-c: (#\w{6})", style)[:1]
        for kind in ROAD_USERS:
            colour = re.search(rf"--nm-c-{kind}: (#\w{{6}})", style)
            assert colour is not None
            brighter, darker = sorted((luminance(on), luminance(colour[1])), reverse=True)
            assert (brighter + 0.05) / (darker + 0.05) >= 4.5, kind


def test_the_player_holds_no_way_out() -> None:
    """Nothing is fetched, evaluated, stored or written as markup."""
    for word in ("fetch(", "XMLHttpRequest", "eval(", "Function(", "innerHTML", "localStorage", "import("):
        assert word not in player.script(), word


def test_its_modules_are_small_and_make_one_script() -> None:
    """As one script no two of them may give the same name, and none may import in another way."""
    texts = player.modules()
    assert max(len(text.splitlines()) for text in texts.values()) < 250
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", player.script(), re.MULTILINE
    )
    assert len(names) == len(set(names))
    assert not re.search(r"^(import|export .* from)\b", player.script(), re.MULTILINE)
    assert set(texts) == {path.name for path in Path(player.__file__).parent.glob("*.js")}
