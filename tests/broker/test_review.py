"""The review page over HTTP: who gets in, what is shown, what a decision does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from broker.collector import findings
from broker.collector.clips import ClipFolder
from broker.collector.review.guard import COOKIE, HEADERS, POLICY
from broker.collector.review.server import ALONE, ReviewError, ReviewServer
from broker.collector.review.words import MEASURES, RULES, measure
from broker.collector.store import Refusal, Store, keep, refuse
from broker.collector.tables import decisions
from broker.drawing import Clip
from broker.wire import RULES as WIRE_RULES
from broker.wire import Event, MeasureName, Status
from tests.broker.records import BIN_TIME, clip, counts, event, plate, status

FIRST, SECOND = (UUID(f"{n:08x}-0000-4000-8000-000000000000") for n in (1, 2))
NAMED = ["red_light_entry", "near_miss", "pedestrian_late_start"]


def session_of(answer: httpx.Response) -> str:
    """Return the session's token that an answer sets."""
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


class Desk:
    """A review server with three events, newest bin first, and a browser that has come in."""

    def __init__(self, store: Store, clips: ClipFolder) -> None:
        plate_hash = clips.write(plate().encode())
        clip_hash = clips.write(clip(plate=plate_hash).encode())
        self.events = [
            event(seq=1, clip=clip_hash, id=FIRST),
            event(seq=2, id=SECOND, rule="near_miss", road_user2="bus", time=BIN_TIME - timedelta(minutes=5)),
            event(seq=3, rule="pedestrian_late_start", time=BIN_TIME - timedelta(minutes=10), clip="00" * 32),
        ]
        with store.write() as connection:
            keep(
                connection,
                new_events=self.events,
                new_counts=[counts(seq=5, count=340)],
                new_statuses=[status(seq=5)],
                new_blobs=[
                    {"hash": clip_hash, "kind": "clip", "bytes": 1, "plate": plate_hash},
                    {"hash": plate_hash, "kind": "plate", "bytes": 1, "plate": None},
                ],
            )
            refuse(connection, [Refusal("nearmiss/v1/a/b/event", "ab" * 32, 9, "road_user: literal_error")])
        self.store = store
        self.clip_hash, self.plate_hash = clip_hash, plate_hash
        self.server = ReviewServer(store, clips, link=True, settings=ALONE)
        self.server.start()
        self.root = f"http://127.0.0.1:{self.server.port}"
        self.browser = httpx.Client(base_url=self.root, headers={"Sec-Fetch-Site": "same-origin"})
        self.stranger = httpx.Client(base_url=self.root)
        # A browser sends it to this machine; httpx knows no exception for loopback.
        self.session = session_of(self.stranger.get(self.server.url))
        self.browser.headers["Cookie"] = f"{COOKIE}={self.session}"

    def close(self) -> None:
        self.browser.close()
        self.stranger.close()
        self.server.close()

    def page(self, path: str) -> str:
        answer = self.browser.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def ask(self, method: str, path: str, *, cookie: str = "", **more: Any) -> httpx.Response:
        """Ask as another browser would, with this cookie alone."""
        self.stranger.cookies.clear()
        headers = {**more.pop("headers", {}), **({"Cookie": f"{COOKIE}={cookie}"} if cookie else {})}
        return self.stranger.request(method, path, headers=headers, **more)

    @property
    def token(self) -> str:
        return self.server.url.partition("token=")[2]

    def decisions(self) -> int:
        with self.store.read() as connection:
            return connection.execute(select(func.count()).select_from(decisions)).scalar_one()

    def path(self, n: int) -> str:
        return f"/events/{self.events[n].id}"


@contextmanager
def opened(folder: Path) -> Iterator[Desk]:
    store = Store(f"sqlite:///{folder / 'collector.db'}")
    store.migrate()
    desk = Desk(store, ClipFolder(folder / "clips"))
    yield desk
    desk.close()
    store.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests that only look."""
    with opened(tmp_path_factory.mktemp("desk")) as one:
        yield one


@pytest.fixture
def own_desk(tmp_path: Path) -> Iterator[Desk]:
    """One of its own for a test that decides."""
    with opened(tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests that look at what a single request changes."""
    with opened(tmp_path_factory.mktemp("scratch")) as one:
        yield one


PAGES = [
    "/",
    "/statistics",
    "/nodes",
    "/?state=undecided",
    "/events/{id}",
    "/events/{id}/record",
    "/clips/{clip}",
]


@pytest.mark.parametrize("path", [*PAGES, "/plates/{plate}", "/nothing"])
def test_nothing_is_shown_before_one_has_signed_in(desk: Desk, path: str) -> None:
    path = path.format(id=desk.events[0].id, clip=desk.clip_hash, plate=desk.plate_hash)
    for cookie in ("", "guessed"):
        answer = desk.ask("GET", path, cookie=cookie)
        assert (answer.status_code, answer.text) == (401, "sign in first\n")
        answer = desk.ask("GET", path, cookie=cookie, headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")
    assert desk.ask("GET", path, params={"token": "guessed"}).status_code == 401


def test_the_link_of_the_demo_becomes_a_cookie_no_script_reads(desk: Desk) -> None:
    answer = desk.ask("GET", "/", params={"token": desk.token})
    name, *rest = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-nearmiss=")
    assert set(rest) == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert desk.ask("GET", "/", cookie=session_of(answer)).status_code == 200
    assert desk.token not in answer.text


@pytest.mark.parametrize(
    "path", [*PAGES, "/static/review.css", "/static/review.js", "/player/player.js", "/nothing", "/events/x"]
)
def test_every_answer_carries_the_policy(desk: Desk, path: str) -> None:
    answer = desk.browser.get(path.format(id=desk.events[0].id, clip=desk.clip_hash))
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert POLICY.startswith("default-src 'self';")
    assert "unsafe" not in POLICY
    if "html" in answer.headers["content-type"]:
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|<style", answer.text)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 303, id="from our own page"),
        pytest.param({"Origin": "{root}"}, 303, id="our own origin, an old browser"),
        pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "{root}"}, 403, id="from another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="from another port of this machine"),
        pytest.param({"Sec-Fetch-Site": "none"}, 403, id="from nowhere"),
        pytest.param({"Origin": "http://evil.example"}, 403, id="another origin"),
        pytest.param({"Origin": "null"}, 403, id="a sandboxed frame"),
        pytest.param({}, 403, id="neither said"),
    ],
)
@pytest.mark.parametrize("path", ["/events/{id}/decisions", "/undo"])
def test_a_change_comes_from_our_own_pages_only(
    scratch: Desk, headers: dict[str, str], code: int, path: str
) -> None:
    with scratch.store.write() as connection:  # something there is to undo
        findings.decide(connection, str(scratch.events[0].id), "reject", reviewer="local", now_s=1)
    before = scratch.decisions()
    answer = scratch.ask(
        "POST",
        path.format(id=scratch.events[0].id),
        cookie=scratch.session,
        data={"choice": "confirm"},
        headers={name: value.format(root=scratch.root) for name, value in headers.items()},
    )
    assert answer.status_code == code
    assert scratch.decisions() - before == (code == 303)


def test_every_route_that_changes_something_is_guarded(desk: Desk) -> None:
    from starlette.routing import Route

    changing = [
        route.path
        for route in desk.server.app.routes
        if isinstance(route, Route) and not (route.methods or set()) <= {"GET", "HEAD"}
    ]
    assert {"/login", "/logout", "/events/{id_}/decisions", "/undo"} <= set(changing)
    for path in changing:
        answer = desk.ask("POST", path, cookie=desk.session)
        assert (answer.status_code, answer.text) == (403, "refused: sent from another page\n")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.1:80", "", "localhost.:80"]
)
def test_a_foreign_name_for_this_machine_is_refused(desk: Desk, host: str) -> None:
    answer = desk.ask("GET", "/", cookie=desk.session, headers={"Host": host})
    assert answer.status_code in (400, 421)


def test_the_page_refuses_to_listen_off_loopback_without_tls(sqlite_store: Store, clips: ClipFolder) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org", "::"):
        with pytest.raises(ReviewError, match="with TLS only"):
            ReviewServer(sqlite_store, clips, host=host, port=0)


def test_a_port_that_is_taken_is_named(desk: Desk, sqlite_store: Store, clips: ClipFolder) -> None:
    with pytest.raises(ReviewError, match=f"port {desk.server.port} on 127.0.0.1"):
        ReviewServer(sqlite_store, clips, host="127.0.0.1", port=desk.server.port)


def test_the_queue_lists_events_with_their_numbers(desk: Desk) -> None:
    text = desk.page("/")
    assert [text.index(RULES[rule] + "</a>") for rule in NAMED] == sorted(
        text.index(RULES[rule] + "</a>") for rule in NAMED
    )
    assert "1.2 ± 0.1 s" in text
    assert "40 ± 2 km/h" in text
    assert "08:15" in text
    filtered = desk.page("/?rule=near_miss&site=main-5th")
    assert "Near miss</a>" in filtered
    assert "Red-light entry</a>" not in filtered


def test_a_decision_leads_to_the_next_and_can_be_undone(own_desk: Desk) -> None:
    answer = own_desk.browser.post(own_desk.path(0) + "/decisions?site=main-5th", data={"choice": "confirm"})
    assert answer.status_code == 303
    assert (
        answer.headers["location"]
        == f"{own_desk.path(1)}?site=main-5th&said={own_desk.events[0].id}&as=confirm"
    )
    following = own_desk.page(answer.headers["location"])
    assert "Confirmed: Red-light entry at N." in following
    assert "2 undecided" in following

    answer = own_desk.browser.post("/undo?site=main-5th")
    assert answer.headers["location"] == f"{own_desk.path(0)}?site=main-5th"
    assert "3 undecided" in own_desk.page(answer.headers["location"])


def test_the_last_decision_leads_to_the_queue(own_desk: Desk) -> None:
    for n, verdict in enumerate(("confirm", "reject", "unclear")):
        answer = own_desk.browser.post(own_desk.path(n) + "/decisions", data={"choice": verdict})
    assert answer.headers["location"] == f"/?said={own_desk.events[2].id}&as=unclear"
    text = own_desk.page(answer.headers["location"])
    assert "Unclear: Pedestrian started late at N." in text
    statistics = own_desk.page("/statistics")
    assert re.search(r'id="confirmed">1<', statistics)
    assert "Cohen" in statistics
    assert "340" in statistics


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        pytest.param("/events/{id}/decisions", {"choice": "undo"}, 422, id="no such verdict"),
        pytest.param("/events/{id}/decisions", {}, 422, id="none"),
        pytest.param("/events/{other}/decisions", {"choice": "confirm"}, 404, id="no such event"),
        pytest.param("/events/x/decisions", {"choice": "confirm"}, 422, id="no id"),
        pytest.param("/undo", {}, 303, id="nothing to take back"),
    ],
)
def test_what_cannot_be_decided_is_refused(scratch: Desk, path: str, data: dict[str, str], code: int) -> None:
    address = path.format(id=scratch.events[0].id, other=uuid4())
    assert scratch.browser.post(address, data=data).status_code == code


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/clips/" + "00" * 32, 404),
        ("/clips/..%2f..%2fetc%2fpasswd", 404),
        ("/clips/xyz", 422),
        ("/plates/" + "0" * 65, 422),
        ("/player/..%2f__init__.py", 404),
        ("/player/__init__.py", 422),
        ("/static/../app.py", 404),
        ("/?state=everything", 422),
        ("/?after=1", 422),
        ("/docs", 404),
    ],
)
def test_odd_addresses_show_nothing(desk: Desk, path: str, code: int) -> None:
    assert desk.browser.get(path).status_code == code


def test_records_are_served_as_they_travelled(desk: Desk) -> None:
    assert Event.decode(desk.browser.get(desk.path(0) + "/record").content) == desk.events[0]
    assert Clip.decode(desk.browser.get(f"/clips/{desk.clip_hash}").content).plate == desk.plate_hash
    assert json.loads(desk.browser.get(f"/plates/{desk.plate_hash}").content)["site"] == "main-5th"


def test_the_event_page_says_when_there_is_no_drawing(desk: Desk) -> None:
    assert f'data-clip="/clips/{desk.clip_hash}"' in desk.page(desk.path(0))
    assert "This event has no drawing." in desk.page(desk.path(1))
    assert "is not kept" in desk.page(desk.path(2))


def test_nodes_and_refused_messages_show(desk: Desk) -> None:
    text = desk.page("/nodes")
    assert "main-5th / cam-n" in text
    assert '<td data-label="Numbers missing">4</td>' in text
    assert "road_user: literal_error" in text


def test_a_node_whose_signal_sources_disagree_says_so(desk: Desk) -> None:
    told = status("degraded", seq=6).model_dump(mode="json") | {
        "signals_disagree": ["N", "ped0"],
        "signal_feed": "lost",
        "signal_clocks": [{"group": "E", "offset_s": -1.5, "drift_ppm": 12}],
    }
    with desk.store.write() as connection:
        keep(connection, new_statuses=[Status.model_validate_json(json.dumps(told))])
    text = " ".join(desk.page("/nodes").split())
    assert "signal feed lost" in text and "signal sources disagree: N, ped0" in text
    assert "signal clock corrected: E -1.5 s" in text


def test_numbers_a_node_has_given_up_are_no_missing_ones(desk: Desk) -> None:
    told = status("running", seq=6).model_dump(mode="json") | {"given_up": [[4, 4]]}
    with desk.store.write() as connection:
        keep(connection, new_statuses=[Status.model_validate_json(json.dumps(told))])
    text = desk.page("/nodes")
    cell = '<td data-label="Numbers missing">none<br><small>given up at the node: 4</small></td>'
    assert cell in text


def test_every_word_of_the_contract_has_its_words() -> None:
    from typing import get_args

    assert set(RULES) == set(WIRE_RULES)
    assert set(MEASURES) == set(get_args(MeasureName))
    assert measure("pet_s", 1.25, None) == "1.2 s, error unknown"
    assert measure("drac_mps2", 3.4, 0.2) == "3.4 ± 0.2 m/s²"


def test_the_pages_are_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "chain.md").read_text()
    for word in ("/statistics", "/nodes", "?token="):
        assert word in text


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"choice=" + b"x" * 700_000, 413, id="too long"),
        pytest.param(iter([b"choice=", b"confirm"]), 411, id="no length"),
        pytest.param(b"choice=" + b"x" * 1000, 422, id="a length"),
    ],
)
def test_a_form_has_a_length_and_an_end(desk: Desk, content: Any, code: int) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = desk.browser.post(desk.path(0) + "/decisions", content=content, headers=headers)
    assert answer.status_code == code
