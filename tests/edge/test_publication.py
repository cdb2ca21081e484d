"""From a collector's store to the files that are passed on, by the commands a person types."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner

from broker.collector.publication import dictionary
from broker.collector.publication.files import csv_text, geojson_text
from broker.collector.publication.page import html
from broker.collector.publication.rows import COLUMNS, rows
from broker.collector.store import Store
from broker.published import Publication
from calibration.site import Crosswalk, Roadway, Site, SiteInfo, StopLine
from edge import publication
from edge.bench import made_store
from edge.cli import app, main
from edge.publication import plan_of

SHOWN = ("red_light_entry", "pedestrian_against_signal")
NOW = int(made_store.UNTIL.timestamp()) + 3600
SITE_FILE = """
[site]
id = "site-01"
name = "Main St / 5th Ave"
timezone = "America/Chicago"
origin_lat = 41.88
origin_lon = -87.63
{lines}
{crosswalks}
[[roadways]]
polygon = [[-60, -7], [60, -7], [60, 7], [-60, 7]]
"""
LINES = "".join(
    f'[[stop_lines]]\nid = "{name}"\nsignal_group = "A"\nheading_deg = -90\n'
    f"line = [[{x}, {y}], [{x + 3}, {y}]]\n"
    for name, x, y in (("N", -6, 13), ("E", 8, 2), ("S", 3, -13), ("W", -12, -2))
)
CROSSWALKS = "".join(
    f'[[crosswalks]]\nid = "ped-{name}"\nsignal_group = "A"\n'
    f"polygon = [[{x}, {y}], [{x + 4}, {y}], [{x + 4}, {y + 4}], [{x}, {y + 4}]]\n"
    for name, x, y in (("n", -2, 8), ("e", 9, -8), ("s", -2, -12), ("w", -14, 4))
)


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collector's file, its store filled with 6,000 events of one site, and its plan taken."""
    folder = tmp_path_factory.mktemp("collector")
    store = Store(f"sqlite:///{folder / 'collector.db'}")
    store.migrate()
    made_store.fill(store, events_wanted=6_000, sites=1, counted=1)
    store.close()
    (folder / "site.toml").write_text(SITE_FILE.format(lines=LINES, crosswalks=CROSSWALKS))
    path = folder / "collector.toml"
    path.write_text(
        '[publication]\nrules = { near_miss = { period = "year" }, wrong_way = { publish = false } }\n'
    )
    result = CliRunner().invoke(app, ["report", "site", str(path), str(folder / "site.toml")])
    assert result.exit_code == 0, result.output
    assert result.stdout == "site-01: 4 stop lines, 4 crosswalks, America/Chicago\n"
    return path


@pytest.fixture(scope="module")
def said(collector: Path) -> Iterator[list[Publication]]:
    """All that is due on 9 October 2026, published."""
    from broker.collector.publication.ledger import entries

    assert publication.publish(collector, site=None, rule=None, preview=False, now_s=NOW) == 0
    _, store = publication.opened(collector)
    with store.read() as connection:
        yield [entry.record for entry in entries(connection)]
    store.close()


def test_publishing_is_shown_first_done_once_and_counted_again(
    collector: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publication.publish(collector, site=None, rule=None, preview=True, now_s=NOW) == 0
    shown = capsys.readouterr().out
    assert "would publish site-01, red_light_entry, 2026-Q3" in shown
    assert "near_miss, 2025" in shown and "near_miss, 2026" not in shown
    assert publication.publish(collector, site="site-01", rule=None, preview=False, now_s=NOW) == 0
    told = capsys.readouterr().out
    assert "published site-01, red_light_entry, 2026-Q3" in told
    assert told.replace("published", "would publish").count("2026-Q") == shown.count("2026-Q")
    assert publication.publish(collector, site=None, rule=None, preview=False, now_s=NOW) == 0
    assert "nothing is due" in capsys.readouterr().out
    assert publication.recount(collector) == 0
    assert " 0 differ" in capsys.readouterr().out


def test_the_report_is_written_by_default_and_holds_what_was_published(
    collector: Path, said: list[Publication], tmp_path: Path
) -> None:
    result = CliRunner().invoke(
        app, ["report", str(collector), "--out", str(tmp_path), "--changed", "2026-07-01"]
    )
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") > 10 and "Main St / 5th Ave" in page and "2026-Q3" in page
    assert not re.search(r'(src|href)="|@import|url\(', re.sub(r'xlink:href="#|url\(#', "", page))
    with (tmp_path / "published.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(list(rows(said)))
    duckdb = pytest.importorskip("duckdb")
    parquet = duckdb.sql(f"SELECT * FROM '{tmp_path / 'published.parquet'}'")
    assert tuple(parquet.columns) == COLUMNS
    found = [[None if v is None else str(v) for v in line] for line in parquet.fetchall()]
    expected = [[row[name] or None for name in COLUMNS] for row in table]
    assert [line[:10] for line in found] == [line[:10] for line in expected]
    features = json.loads((tmp_path / "published.geojson").read_text())["features"]
    assert {each["geometry"]["type"] for each in features} == {"LineString", "Polygon"}
    flat = [
        point
        for each in features
        for point in (
            each["geometry"]["coordinates"]
            if each["geometry"]["type"] == "LineString"
            else each["geometry"]["coordinates"][0]
        )
    ]
    assert all(abs(point[0] + 87.63) < 0.001 and abs(point[1] - 41.88) < 0.001 for point in flat)


@pytest.mark.browser
def test_the_page_is_whole_in_itself(said: list[Publication], tmp_path: Path) -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    file = tmp_path / "report.html"
    file.write_text(html([plan_of(a_site())], [each for each in said if each.rule in SHOWN]))
    asked: list[str] = []
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page(viewport={"width": 1200, "height": 1150})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        assert page.locator("h3").all_inner_texts()[0] == "Red-light entry"
        if pictures := os.environ.get("NEARMISS_PICTURES"):
            page.screenshot(path=Path(pictures) / "report.png")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()
    assert asked == [file.as_uri()]


def test_nothing_published_carries_a_time_a_clip_or_anything_about_a_person(said: list[Publication]) -> None:
    plan = plan_of(a_site())
    outputs = {
        "records": "\n".join(each.encode().decode() for each in said),
        "csv": csv_text(said),
        "geojson": geojson_text([plan], said),
        "html": html([plan], said),
    }
    forbidden = {
        "a time of day": r"\b[0-2]?\d:[0-5]\d\b",
        "an RFC 3339 time": r"\d{4}-\d\d-\d\dT",
        "seconds since 1970": r"\b1[6-9]\d{8}\b",
        "an id": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}",
        "a hash": r"\b[0-9a-f]{64}\b",
        "a measure": r"_mps|into_red_s|pet_s|ttc_s|drac",
        "a reviewer or a node": r"\bmade\b|cam-1|reviewer",
        "an image": r"data:image|<img|<image",
    }
    for name, text in outputs.items():
        for what, pattern in forbidden.items():
            found = re.search(pattern, text)
            assert found is None, f"{name} holds {what}: {text[found.start() - 40 : found.end() + 40]}"
    days = {text for each in said for text in (str(each.period.start), str(each.period.end))}
    assert set(re.findall(r"\d{4}-\d\d-\d\d", outputs["csv"])) <= days


def test_counts_in_every_output_are_rounded_or_hidden(said: list[Publication]) -> None:
    for row in rows(said):
        assert row.confirmed is None or (row.confirmed >= 10 and row.confirmed % 5 == 0)
        assert row.rejected is None or (row.rejected >= 10 and row.rejected % 5 == 0)
        assert row.exposure is None or (row.exposure >= 100 and row.exposure % 100 == 0)
        assert (row.confirmed is None) == ((row.confirmed_least, row.confirmed_most) == (0, 9))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["report", "COLLECTOR", "--out", "out", "--changed", "July"], "--changed: 'July' is no day"),
        (["report", "COLLECTOR", "--out", "out", "--site", "nowhere"], "--site: 'nowhere' has no plan"),
        (["publish", "COLLECTOR", "--rule", "speed"], "--rule: 'speed' is not one of red_light_entry"),
        (["publish", "COLLECTOR", "--site", "nowhere"], "nowhere has not a plan: nearmiss report site"),
        (["report", "none.toml", "--out", "out"], "none.toml: cannot be read"),
    ],
)
def test_mistakes_are_told_in_a_line(
    collector: Path,
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(collector) if each == "COLLECTOR" else each for each in arguments]
    monkeypatch.setattr("sys.argv", ["nearmiss", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_data_dictionary_is_that_of_the_models() -> None:
    assert dictionary.PAGE.read_text() == dictionary.page(), (
        "python -m broker.collector.publication.dictionary"
    )
    for name in COLUMNS:
        assert f"| `{name}` |" in dictionary.page()
        assert "|  |" not in dictionary.page()


def test_a_plan_has_every_place_of_the_site_and_its_origin() -> None:
    plan = plan_of(a_site())
    assert [place.id for place in plan.places] == [
        *"NESW",
        *(f"ped-{name}" for name in "nesw"),
        "roadway-1",
        "roadway-2",
    ]
    line = plan.places[0].globe
    assert line is not None and line[0] == pytest.approx((-87.63, 41.88), abs=1e-3)
    ring = plan.places[4].globe
    assert ring is not None and ring[0] == ring[-1]


def test_a_report_before_anything_is_published_says_so(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text("")
    result = CliRunner().invoke(app, ["report", str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "Nothing has been published yet" in (tmp_path / "out" / "report.html").read_text()
    assert csv_text([]).startswith("site,rule,period,start,end")


def a_site() -> Site:
    info = SiteInfo(
        id="site-01",
        name="Main St / 5th Ave",
        timezone="America/Chicago",
        origin_lat=41.88,
        origin_lon=-87.63,
    )
    lines = (("N", (-6.4, 13.4), (0.0, 13.4)), ("E", (13.4, 0.0), (13.4, 6.4)))
    lines += (("S", (0.0, -13.4), (6.4, -13.4)), ("W", (-13.4, -6.4), (-13.4, 0.0)))
    corners = {"n": (-6.4, 5.1, 6.4, 9.1), "e": (7.2, -6.4, 11.2, 6.4)}
    corners |= {"s": (-6.4, -9.1, 6.4, -5.1), "w": (-11.2, -6.4, -7.2, 6.4)}
    return Site(
        site=info,
        stop_lines=tuple(StopLine(id=name, line=(a, b), heading_deg=-90.0) for name, a, b in lines),
        crosswalks=tuple(
            Crosswalk(id=f"ped-{name}", polygon=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
            for name, (x0, y0, x1, y1) in corners.items()
        ),
        roadways=(
            Roadway(polygon=((-60.0, -7.0), (60.0, -7.0), (60.0, 7.0), (-60.0, 7.0))),
            Roadway(polygon=((-7.0, -60.0), (7.0, -60.0), (7.0, 60.0), (-7.0, 60.0))),
        ),
    )


def test_the_clock_of_these_tests_is_after_the_quarter() -> None:
    assert datetime.fromtimestamp(NOW, UTC).date() > date(2026, 10, 8)
