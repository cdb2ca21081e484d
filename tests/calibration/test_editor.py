"""The calibrate page over HTTP: who gets in, what is fitted, and that a file is written whole or not."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from calibration.editor.app import Desk
from calibration.editor.guard import HEADERS, POLICY
from calibration.editor.server import EditorServer
from calibration.editor.site_file import SiteFile
from calibration.site import Site, SiteError, load_site
from tests.conftest import ROOT

EXAMPLE = (ROOT / "examples" / "strudl" / "site.toml").read_text()
BACKGROUND = np.arange(480 * 640 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)


class Table:
    """A page over a copy of the example, and a browser that has come in."""

    def __init__(self, folder: Path, *, text: str = EXAMPLE) -> None:
        self.path = folder / "site.toml"
        self.path.write_text(text)
        self.kept: list[Site] = []
        desk = Desk(
            file=SiteFile(self.path), name="street.mp4", background=BACKGROUND, saved=self.kept.append
        )
        self.server = EditorServer(desk, port=0)
        self.server.start()
        self.root = f"http://127.0.0.1:{self.server.port}"
        self.browser = httpx.Client(base_url=self.root, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30)
        assert self.browser.get(self.server.url).status_code == 200

    def close(self) -> None:
        self.browser.close()
        self.server.close()

    def state(self) -> dict[str, Any]:
        return dict(self.browser.get("/state").json())

    def save(self, document: Any, digest: str | None = None) -> httpx.Response:
        digest = self.state()["digest"] if digest is None else digest
        return self.browser.post("/save", json={"document": document, "digest": digest})


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    one = Table(tmp_path)
    yield one
    one.close()


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """One for all tests that change no file."""
    one = Table(tmp_path_factory.mktemp("table"))
    yield one
    one.close()


PATHS = ["/", "/state", "/background", "/aerial", "/tracks", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_the_token(looked_at: Table, path: str) -> None:
    for cookies in ({}, {"nearmiss-calibrate": "guessed"}, {"nearmiss": "guessed"}):
        answer = httpx.get(looked_at.root + path, cookies=cookies)
        assert answer.status_code == 403 and "strudl" not in answer.text
    assert httpx.get(looked_at.root + path, params={"token": "guessed"}).status_code == 403


@pytest.mark.parametrize("path", [*PATHS, "/static/editor.js", "/static/editor.css"])
def test_every_answer_carries_the_policy(looked_at: Table, path: str) -> None:
    answer = looked_at.browser.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert POLICY.startswith("default-src 'self';") and "unsafe" not in POLICY
    if "html" in answer.headers["content-type"]:
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|<style", answer.text)


def test_the_token_becomes_a_cookie_no_script_reads(looked_at: Table) -> None:
    answer = httpx.get(looked_at.server.url)
    parts = {part.strip() for part in answer.headers["set-cookie"].split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= parts
    assert looked_at.server.url.partition("token=")[2] not in answer.text


@pytest.mark.parametrize("path", ["/fit", "/save", "/export", "/import"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="from another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="from another port of this machine"),
        pytest.param({"Origin": "http://evil.example"}, id="another origin"),
        pytest.param({}, id="neither said"),
    ],
)
def test_a_change_comes_from_our_own_page_only(looked_at: Table, headers: dict[str, str], path: str) -> None:
    before = looked_at.path.read_bytes()
    cookies = dict(looked_at.browser.cookies)
    answer = httpx.post(looked_at.root + path, json={"document": {}}, headers=headers, cookies=cookies)
    assert answer.status_code == 403 and looked_at.path.read_bytes() == before


def test_every_route_that_changes_something_is_known(looked_at: Table) -> None:
    from starlette.routing import Route

    routes = looked_at.server._server.config.app.routes  # type: ignore[union-attr]  # it is the FastAPI app
    changing = [
        r.path for r in routes if isinstance(r, Route) and not (r.methods or set()) <= {"GET", "HEAD"}
    ]
    assert sorted(changing) == ["/export", "/fit", "/import", "/save"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.1:80"])
def test_a_foreign_name_for_this_machine_is_refused(looked_at: Table, host: str) -> None:
    assert httpx.get(looked_at.server.url, headers={"Host": host}).status_code == 421


def test_a_body_without_end_is_refused(looked_at: Table) -> None:
    answer = looked_at.browser.post("/fit", content=b" " * (9 * 2**20))
    assert answer.status_code == 413


def test_the_background_is_the_picture_and_no_file(looked_at: Table) -> None:
    assert looked_at.browser.get("/background").content == BACKGROUND.tobytes()
    assert [each.name for each in looked_at.path.parent.iterdir()] == ["site.toml"]


def test_the_example_fits_as_it_does_on_the_command_line(looked_at: Table) -> None:
    state = looked_at.state()
    fit = looked_at.browser.post("/fit", json={"document": state["document"]}).json()
    assert fit["mistakes"] == [] and len(fit["points"]) == 38
    assert max(each["error_m"] for each in fit["points"]) < 0.3
    assert {each["held_out"] for each in fit["points"]} == {True, False}
    assert len(fit["sigma"]["cm"]) == fit["sigma"]["rows"] * fit["sigma"]["columns"]
    assert any("N1" in line for line in fit["warnings"])


@pytest.mark.parametrize(
    ("ground", "why"),
    [
        pytest.param({"points": []}, "four point pairs", id="no points"),
        pytest.param(
            {"points": [{"px": [k, k], "m": [k, k]} for k in range(6)]}, "nearly on one line", id="a line"
        ),
        pytest.param({"points": [{"px": [5, 5], "m": None}]}, "four point pairs", id="half a pair"),
    ],
)
def test_points_that_fit_nothing_are_no_mistake_of_the_page(looked_at: Table, ground: Any, why: str) -> None:
    document = {"site": {"id": "a"}, "ground_plane": {"image_size": [640, 480], "osd": [], **ground}}
    fit = looked_at.browser.post("/fit", json={"document": document}).json()
    assert fit["plane"] is None and why in fit["why"] and fit["mistakes"]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"ground_plane": 3}, id="a number"),
        pytest.param({"ground_plane": {"points": 3}}, id="points are a number"),
        pytest.param({"ground_plane": {"points": [3]}}, id="a point is a number"),
        pytest.param({"ground_plane": {"points": [{"px": "ab", "m": [1, 2]}] * 4}}, id="letters"),
        pytest.param({"ground_plane": {"points": [{"px": [1], "m": [1, 2]}] * 4}}, id="one number"),
        pytest.param({"site": [1]}, id="a list"),
        pytest.param({"site": {"id": "a"}, "ground_plane": {"lengths": [{"px": 1}]}}, id="lengths"),
    ],
)
@pytest.mark.parametrize("path", ["/fit", "/save", "/export"])
def test_a_draft_that_is_no_site_is_answered_with_words(table: Table, path: str, document: Any) -> None:
    body = {"document": document} | ({"digest": table.state()["digest"]} if path == "/save" else {})
    answer = table.browser.post(path, json=body)
    assert answer.status_code in (200, 422)
    said = answer.json()
    assert said.get("problems") or said.get("mistakes")
    assert table.path.read_text() == EXAMPLE


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"document": NaN}', b'{"document": {}, "x": 1}'])
def test_a_body_that_is_no_draft_is_refused(looked_at: Table, body: bytes) -> None:
    answer = looked_at.browser.post("/fit", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_saving_writes_the_tables_and_keeps_the_others(tmp_path: Path) -> None:
    text = (
        EXAMPLE + "\n[thresholds]\nmax_position_sigma_m = 0.7\n\n[signal_plan]"
        "\nepoch = 2026-11-20T08:00:00Z\ncycle_s = 60\n"
        '[[signal_plan.groups]]\nsignal_group = "N"\nchanges = [{ at_s = 0, state = "red" }]\n'
    )
    table = Table(tmp_path, text=text)
    try:
        document = table.state()["document"]
        document["crosswalks"][0]["id"] = "south-side"
        answer = table.save(document)
        assert answer.status_code == 200, answer.text
        before, after = tomllib.loads(text), tomllib.loads(table.path.read_text())
        assert after["crosswalks"][0]["id"] == "south-side"
        before["crosswalks"][0]["id"] = "south-side"
        assert after == before
        assert load_site(table.path).thresholds.max_position_sigma_m == 0.7
        assert table.path.with_name("site.toml.bak").read_text() == text
        assert table.path.read_text().startswith("# A signalised intersection, camera of the STRUDL samples")
        assert [site.id for site in table.kept] == ["strudl"]
        assert answer.json()["digest"] == table.state()["digest"]
    finally:
        table.close()


def changed(**changes: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(tomllib.loads(EXAMPLE)))
    return document | changes


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(changed(site={"id": "Not Good"}), "site.id", id="a bad id"),
        pytest.param(changed(site={"id": ""}), "give the site a short name", id="no id"),
        pytest.param(changed(site={"id": "a", "timezone": "Mars"}), "IANA time zone", id="a bad zone"),
        pytest.param(
            changed(ground_plane={**changed()["ground_plane"], "osd": None}),
            "burn text",
            id="osd not answered",
        ),
        pytest.param(
            changed(
                ground_plane={**changed()["ground_plane"], "points": changed()["ground_plane"]["points"][:3]}
            ),
            "expected at least 4",
            id="three points",
        ),
        pytest.param(
            changed(crosswalks=[{"id": "a", "polygon": [[0, 0], [1, 1]]}]), "at least 3", id="two corners"
        ),
        pytest.param(
            changed(crosswalks=[{"id": "a", "polygon": [[0, 0], [9, 0], [0, 9], [9, 9]]}]),
            "crosswalks.a: polygon: its edges cross each other at [4.5, 4.5]",
            id="a bow tie",
        ),
        pytest.param(
            changed(ground_plane={**changed()["ground_plane"], "image_size": [1280, 960]}),
            "ground_plane.image_size: [1280, 960], the recording's pictures have [640, 480]",
            id="a recording of another size",
        ),
        pytest.param(changed(site={"id": "a", "name": "\ud800"}), "", id="half a character"),
    ],
)
def test_what_is_wrong_is_told_and_the_file_stays(table: Table, document: Any, message: str) -> None:
    body = json.dumps({"document": document, "digest": table.state()["digest"]})
    answer = table.browser.post("/save", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert message in answer.text
    assert table.path.read_text() == EXAMPLE
    assert [each.name for each in table.path.parent.iterdir()] == ["site.toml"]


def test_a_file_somebody_else_changed_is_not_written_over(table: Table) -> None:
    state = table.state()
    table.path.write_text(EXAMPLE + "\n# somebody was here\n")
    answer = table.save(state["document"], state["digest"])
    assert answer.status_code == 409 and answer.json()["changed"] is True
    assert table.path.read_text().endswith("# somebody was here\n")
    assert table.save(state["document"]).status_code == 200


def test_a_folder_that_takes_nothing_is_told(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    document = table.state()["document"]
    document["site"]["name"] = "another"
    monkeypatch.setattr("calibration.editor.site_file.os.fsync", full)
    answer = table.save(document)
    assert answer.status_code == 422 and "No space left on device" in answer.text
    assert table.path.read_text() == EXAMPLE
    assert [each.name for each in table.path.parent.iterdir()] == ["site.toml"]


def test_a_read_only_file_stays(table: Table) -> None:
    document = table.state()["document"]
    document["site"]["name"] = "another"
    table.path.chmod(0o444)
    answer = table.save(document)
    assert answer.status_code == 422 and "is read-only" in answer.text
    assert table.path.read_text() == EXAMPLE


def test_a_file_with_mistakes_opens_with_its_mistakes(tmp_path: Path) -> None:
    table = Table(tmp_path, text='[site]\nid = "a"\n[[crosswalks]]\nid = "x"\npolygon = [[0, 0]]\n')
    try:
        assert any("crosswalks.0.polygon" in line for line in table.state()["mistakes"])
    finally:
        table.close()


def test_a_file_that_is_no_toml_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[site\n")
    with pytest.raises(SiteError, match="not a TOML file"):
        SiteFile(tmp_path / "site.toml")


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="there is no folder"):
        SiteFile(tmp_path / "nowhere" / "site.toml")


def test_what_cannot_be_written_beside_the_file_is_told_apart(tmp_path: Path) -> None:
    def full(_site: Site) -> None:
        raise SiteError(["site.structure.json: cannot be written: No space left on device"])

    (tmp_path / "site.toml").write_text(EXAMPLE)
    file = SiteFile(tmp_path / "site.toml")
    server = EditorServer(Desk(file=file, name="a", background=BACKGROUND, saved=full), port=0)
    server.start()
    try:
        root = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=root, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
            browser.get(server.url)
            state = browser.get("/state").json()
            state["document"]["site"]["name"] = "another"
            answer = browser.post("/save", json={"document": state["document"], "digest": state["digest"]})
        assert answer.status_code == 200 and "No space" in answer.json()["besides"][0]
        assert answer.json()["digest"] == file.read().digest and load_site(file.path).site.name == "another"
    finally:
        server.close()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(EXAMPLE)
    (tmp_path / "site.toml").symlink_to("real.toml")
    file = SiteFile(tmp_path / "site.toml")
    document = file.read().document
    document["site"]["name"] = "another"
    file.write(document, digest=file.read().digest)
    assert (tmp_path / "site.toml").is_symlink()
    assert load_site(tmp_path / "real.toml").site.name == "another"


def test_geojson_goes_out_and_comes_in(looked_at: Table) -> None:
    document = looked_at.state()["document"]
    assert "origin_lat" in looked_at.browser.post("/export", json={"document": document}).text
    document["site"] |= {"origin_lat": 59.3, "origin_lon": 18.1}
    out = looked_at.browser.post("/export", json={"document": document})
    assert out.headers["content-type"].startswith("application/geo+json")
    back = looked_at.browser.post("/import", json={"document": document, "text": out.text}).json()
    assert [each["id"] for each in back["crosswalks"]] == ["south", "north", "west", "east"]
    wrong = looked_at.browser.post("/import", json={"document": document, "text": "{}"})
    assert wrong.status_code == 422 and "FeatureCollection" in wrong.text


def test_a_map_of_openstreetmap_comes_in_and_another_xml_is_told(looked_at: Table) -> None:
    pytest.importorskip("osmium", reason="the extra [osm] is not installed")
    document = looked_at.state()["document"]
    document["site"] |= {"origin_lat": 59.3, "origin_lon": 18.1}
    nodes = (
        '<node id="1" lat="59.3" lon="18.1" version="1"/><node id="2" lat="59.3001" lon="18.1" version="1"/>'
    )
    way = '<way id="7" version="1"><nd ref="1"/><nd ref="2"/><tag k="footway" v="crossing"/></way>'
    text = f'<osm version="0.6">{nodes}{way}</osm>'
    found = looked_at.browser.post("/import", json={"document": document, "text": text}).json()
    assert [each["id"] for each in found["crosswalks"]] == ["osm-7"]
    wrong = looked_at.browser.post("/import", json={"document": document, "text": "<html/>"})
    assert wrong.status_code == 422 and "not an OSM file" in wrong.text


def test_a_port_that_is_taken_is_named(looked_at: Table) -> None:
    desk = Desk(file=SiteFile(looked_at.path), name="a", background=BACKGROUND)
    with pytest.raises(SiteError, match=f"port {looked_at.server.port} on 127.0.0.1"):
        EditorServer(desk, port=looked_at.server.port)


@pytest.mark.parametrize(
    ("path", "code"),
    [("/aerial", 404), ("/tracks", 404), ("/docs", 404), ("/openapi.json", 404), ("/static/../app.py", 404)],
)
def test_odd_addresses_show_nothing(looked_at: Table, path: str, code: int) -> None:
    assert looked_at.browser.get(path).status_code == code
