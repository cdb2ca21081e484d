"""The report: one page, whole in itself, with every number and its error, and nobody in it."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from broker.drawing import Clip
from broker.wire import ROAD_USERS, RULES, LocalEvent, LocalSignal, Measure, MeasureName
from edge.frame import Gap
from edge.plan import plate_of
from edge.recorder import Recorder
from edge.report import MAX_CLIPS, Report, clock_of, html, write_report
from edge.rules.finding import Exposure, Finding
from edge.words import KIND_TITLES, MEASURES, RULE_MEANINGS, RULE_TITLES, STATE_TITLES, clock, number

from .drawn import SIZE, pinhole, scene, site, sketch

PLACE = site(pinhole())


def event(n: int = 1, **more: object) -> LocalEvent:
    fields: dict[str, object] = {
        "n": n,
        "site": "drawn",
        "node": "cam-n",
        "rule": "red_light_entry",
        "outcome": "occurred",
        "place": "N",
        "time": datetime(2026, 11, 20, 8, 15, 2, 350_000, UTC),
        "time_sigma_s": 0.04,
        "road_user": "car",
        "signal": LocalSignal(group="N", state="red", since=None, source="controller"),
        "measures": {
            "into_red_s": Measure(value=1.25, sigma=0.05),
            "speed_mps": Measure(value=11.21, sigma=None),
        },
        "clip": None,
        "detector": "motion",
        "software": "nearmiss 0.1.0",
    }
    return LocalEvent(**{**fields, **more})  # type: ignore[arg-type]  # checked by the record


def clip() -> Clip:
    recorder = Recorder(PLACE, image_size=SIZE, rng=random.Random(1))
    for n in range(101):
        recorder.add(sketch(n / 10), scene(n / 10))
    recorder.hold(Finding("red_light_entry", "occurred", 5.0, 0.1, "N", "car", None, {}, 0.0, 22.0, ()))
    ((_, made),) = recorder.flush()
    assert made is not None
    return made


def report(**more: object) -> Report:
    made = clip()
    name = hashlib.sha256(made.encode()).hexdigest()
    fields: dict[str, object] = {
        "site": PLACE,
        "plate": plate_of(PLACE, pinhole(), image_size=SIZE, background=None),
        "events": [
            event(1, clip=name),
            event(
                2,
                outcome="undecidable",
                rule="near_miss",
                road_user2="bicycle",
                place="junction",
                signal=None,
            ),
        ],
        "clips": {name: made},
        "exposures": [
            Exposure(0.0, "N", "car", 31),
            Exposure(900.0, "N", "car", 12),
            Exposure(0.0, "zebra", "pedestrian", 5),
        ],
        "paths": [("car", [(0.0, 12.0), (0.0, 30.0)]), ("pedestrian", [(-8.0, 18.0), (8.0, 18.0)])],
        "facts": {"video": "main & <5th>.mp4", "detector": "motion"},
        "gaps": [Gap(10.0, 12.5, "3 frames could not be decoded")],
        "notes": ["The clocks were compared."],
    }
    return Report(**{**fields, **more})  # type: ignore[arg-type]  # checked by the tests


class Page(HTMLParser):
    """Tags, texts outside scripts, and every attribute a browser would load something from."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, words: str) -> None:
        if not {"script", "style"} & set(self.open[-1:]):
            self.words.append(words)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_it_says_what_happened_where_and_when_with_errors() -> None:
    text = Page(html(report())).text
    assert "Drawn St / <First> Ave" in text
    assert "Red-light entry at N" in text
    assert "into red 1.25 ± 0.05 s" in text
    assert "speed 11.2 m/s (error unknown)" in text
    assert "2026-11-20 08:15:02.3 UTC ± 0.04 s" in text
    assert "N red (from controller)" in text


def test_counts_add_up_per_place_and_kind() -> None:
    text = Page(html(report())).text
    assert "place pedestrians cars all N 0 43 43 zebra 5 0 5" in text
    assert "48 entered or crossed" in text


def test_what_could_not_be_decided_stands_apart() -> None:
    text = Page(html(report())).text
    assert text.index("Could not be decided") < text.index("Near miss at junction")
    assert "1 event 1 that could not be decided" in text


def test_gaps_are_named() -> None:
    assert "0:10.0 2.5 3 frames could not be decoded" in Page(html(report())).text


def test_nothing_is_loaded_from_anywhere() -> None:
    page = Page(html(report()))
    assert [each for each in page.loads if not each.startswith("#")] == []
    assert "@import" not in html(report())
    assert not re.search(r"url\((?!#|\"#|'#)", html(report()))


def test_its_own_policy_lets_its_own_script_run_and_no_other() -> None:
    page = html(report())
    script = re.search(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy.group(1)
    assert "default-src 'none'" in policy.group(1)


def test_words_of_a_user_are_never_markup() -> None:
    hostile = "</script><script>alert(1)</script>"
    page = html(report(facts={hostile: hostile}, notes=[hostile], gaps=[Gap(0, 1, hostile)]))
    assert "<script>alert" not in page
    assert hostile in Page(page).text


def test_the_records_in_it_read_as_written() -> None:
    whole = report()
    page = html(whole)
    (name, made), *_ = whole.clips.items()
    embedded = re.search(rf'id="clip-{name}">(.*?)</script>', page)
    plate = re.search(r'id="plate-json">(.*?)</script>', page)
    assert embedded is not None and plate is not None and whole.plate is not None
    assert Clip.decode(embedded.group(1).encode()) == made
    assert json.loads(plate.group(1)) == json.loads(whole.plate.encode())


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            {"events": [], "clips": {}, "exposures": [], "paths": [], "gaps": []}, id="a quiet street"
        ),
        pytest.param({"plate": None, "clips": {}}, id="no clips"),
        pytest.param({"events": [event(1, place="elsewhere")]}, id="a place the site does not know"),
        pytest.param({"site": site(pinhole(), stop_lines=[], crosswalks=[], roadways=[])}, id="a bare site"),
    ],
)
def test_it_can_be_written_of(more: dict[str, object], tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", report(**more))
    assert (tmp_path / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_the_same_report_is_the_same_bytes() -> None:
    assert html(report()) == html(report())


def test_a_thousand_events_stay_one_page() -> None:
    made = clip()
    names = [f"{n:064x}" for n in range(1, 1001)]
    page = html(
        report(
            events=[event(n, clip=name) for n, name in enumerate(names, 1)], clips=dict.fromkeys(names, made)
        )
    )
    assert page.count('<article class="event') == 1000
    assert page.count('id="clip-') == MAX_CLIPS
    assert f"{1000 - MAX_CLIPS} further clips" in page
    assert len(page) < 20_000_000


def test_every_rule_kind_and_measure_has_a_name() -> None:
    assert set(RULE_TITLES) == set(RULE_MEANINGS) == set(RULES)
    assert set(KIND_TITLES) == set(ROAD_USERS)
    assert set(MEASURES) == set(MeasureName.__args__)  # type: ignore[attr-defined]  # of a Literal
    assert set(STATE_TITLES) == set(LocalSignal.model_fields["state"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "sigma", "words"),
    [
        (1.254, 0.05, "1.25 ± 0.05 s"),
        (11.24, 0.61, "11.2 ± 0.6 s"),
        (104.0, 12.0, "104 ± 12 s"),
        (3.14159, None, "3.1 s (error unknown)"),
    ],
)
def test_a_number_has_the_digits_its_error_justifies(value: float, sigma: float | None, words: str) -> None:
    assert number(value, sigma, "s") == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0:00.0"), (62.34, "1:02.3"), (59.96, "1:00.0"), (3723.5, "1:02:03.5")]
)
def test_a_stretch_of_time_reads_as_a_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_local_time_is_that_of_the_site() -> None:
    chicago = site(pinhole(), site={"id": "drawn", "timezone": "America/Chicago"})
    assert (
        clock_of(datetime(2026, 7, 1, 17, 0, 0, 0, UTC).timestamp(), chicago) == "2026-07-01 12:00:00.0 CDT"
    )
