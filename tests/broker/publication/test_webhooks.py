"""Signed, tried again, given up and sent once more; and nothing in them but what is public."""

from __future__ import annotations

import base64
import http.server
import itertools
import json
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from broker.collector.config import ConfigError, PublicationSettings, WebhookAddress
from broker.collector.publication import signing, webhooks
from broker.collector.publication.ledger import entries
from broker.collector.publication.signing import SignatureError
from broker.collector.publication.webhooks import Courier, Webhook
from broker.collector.store import Store, insert_new
from broker.collector.tables import deliveries, publications
from broker.published import Publication
from tests.broker.publication.years import year_of

KEY = b"k" * 32
HOOK = Webhook("city", "https://city.example/nearmiss", KEY)
NOW = 1_800_000_000


class City:
    """Whoever listens: answers as it is told, and keeps what came."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.came: list[tuple[str, bytes, dict[str, str]]] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.came.append((url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def published(store: Store) -> Store:
    """Two quarters of one rule."""
    say(store, list(year_of("red_light_entry", "quarter", "place", random.Random(1)))[:2])
    return store


def say(store: Store, said: Sequence[Publication]) -> None:
    for each in said:
        row = {
            "site": each.site,
            "rule": each.rule,
            "kind": each.period.kind,
            "start": str(each.period.start),
            "end": str(each.period.end),
            "record": each.encode().decode(),
            "hash": "0" * 64,
            "published_s": NOW,
            "published_by": "ada",
            "through": 0,
        }
        with store.write() as connection:
            insert_new(connection, publications, [row])


def states(store: Store) -> list[tuple[str, int, str]]:
    with store.read() as connection:
        rows = connection.execute(select(deliveries).order_by(deliveries.c.n)).mappings()
        return [(row["state"], row["tries"], row["reason"]) for row in rows]


def test_each_publication_arrives_once_signed_and_word_for_word(published: Store) -> None:
    city = City()
    courier = Courier(published, [HOOK], post=city)
    assert [courier.step(NOW), courier.step(NOW + 1), courier.step(NOW + 1000)] == [2, 0, 0]
    with published.read() as connection:
        said = [entry.record for entry in entries(connection)]
    for (url, body, headers), record in zip(city.came, said, strict=True):
        assert url == HOOK.url
        assert signing.verify(KEY, headers, body, now_s=NOW + 299).startswith("nearmiss_publication_")
        message = json.loads(body)
        assert set(message) == {"type", "data"} and message["type"] == "publication.published"
        assert Publication.model_validate_json(json.dumps(message["data"])) == record
    assert states(published) == [("delivered", 1, "")] * 2


def test_what_fails_is_tried_again_later_and_later(published: Store) -> None:
    city = City(ConnectionError("refused"), 500, 503, 302, 200)
    courier = Courier(published, [HOOK], post=city, rng=random.Random(2))
    with published.write() as connection:
        connection.execute(publications.delete().where(publications.c.n == 2))
    now, waits = NOW, []
    while states(published)[:1] != [("delivered", 5, "")]:
        if courier.step(now):
            waits.append(now)
        now += 1
        assert now < NOW + 3600
    pauses = [after - before for before, after in itertools.pairwise(waits)]
    assert len(city.came) == 5
    for n, pause in enumerate(pauses):
        assert 15 * 2**n <= pause <= 30 * 2**n + 1


def test_after_fifteen_tries_it_is_a_dead_letter_which_can_be_sent_again(published: Store) -> None:
    city = City(*[500] * 100)
    courier = Courier(published, [HOOK], post=city)
    for day in range(60):
        courier.step(NOW + day * 6 * 3600)
    assert states(published) == [("dead", webhooks.TRIES, "answered 500")] * 2
    assert len(city.came) == 2 * webhooks.TRIES
    city.answers = []
    with published.write() as connection:
        assert [row["rule"] for row in webhooks.listed(connection, state="dead")] == ["red_light_entry"] * 2
        assert webhooks.redeliver(connection, now_s=NOW) == 2
    courier.step(NOW)
    assert states(published) == [("delivered", 1, "")] * 2
    with published.write() as connection:
        assert webhooks.counts(connection) == {"queued": 0, "delivered": 2, "dead": 0}
        assert webhooks.redeliver(connection, now_s=NOW, n=2) == 1


def test_an_address_that_is_gone_is_not_asked_again(published: Store) -> None:
    courier = Courier(published, [HOOK], post=City(410, 410))
    courier.step(NOW)
    assert states(published) == [("dead", 1, "answered 410")] * 2


def test_two_collectors_deliver_once(published: Store) -> None:
    city = City()
    couriers = [Courier(published, [HOOK], post=city) for _ in range(2)]
    threads = [threading.Thread(target=courier.step, args=(NOW,)) for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(city.came) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"body": b"{}"}, "no signature of this body", id="another body"),
        pytest.param({"key": b"x" * 32}, "no signature of this body", id="another key"),
        pytest.param({"now_s": NOW + 301}, "more than 300 s", id="played back later"),
        pytest.param({"now_s": NOW - 301}, "more than 300 s", id="from the future"),
        pytest.param({"webhook-timestamp": str(NOW + 1)}, "no signature", id="another time"),
        pytest.param({"webhook-id": "other"}, "no signature", id="another id"),
        pytest.param({"webhook-id": ""}, "is missing", id="no id"),
        pytest.param({"webhook-timestamp": "soon"}, "no number", id="no time"),
        pytest.param({"webhook-signature": "v1a,AAAA"}, "no signature", id="another version"),
    ],
)
def test_a_delivery_that_was_not_signed_so_is_refused(change: dict[str, object], reason: str) -> None:
    body = b'{"type":"publication.published"}'
    given = signing.headers(KEY, id_="a", timestamp_s=NOW, body=body)
    given |= {name: str(value) for name, value in change.items() if name.startswith("webhook")}
    with pytest.raises(SignatureError, match=reason):
        signing.verify(
            change.get("key", KEY),  # type: ignore[arg-type]
            given,
            change.get("body", body),  # type: ignore[arg-type]
            now_s=change.get("now_s", NOW),  # type: ignore[arg-type]
        )


def test_signatures_are_those_of_the_specification() -> None:
    """The example of the Standard Webhooks libraries' own tests."""
    key = signing.secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signing.headers(key, id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp_s=1614265330, body=body)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("plain", "expected whsec_ and base64"),
        ("whsec_***", "expected whsec_ and base64"),
        ("whsec_" + base64.b64encode(b"short").decode(), "the key has 5 bytes"),
    ],
)
def test_a_secret_that_is_none_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        signing.secret_of(text)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [(None, "No such file"), ("hello", "expected whsec_ and base64")],
    ids=["no file", "no secret"],
)
def test_a_secret_file_that_is_none_is_told_before_anything_begins(
    tmp_path: Path, secret: str | None, reason: str
) -> None:
    if secret is not None:
        (tmp_path / "city.secret").write_text(secret)
    address = WebhookAddress(id="city", url="https://city.example/in", secret_file="city.secret")
    with pytest.raises(ConfigError, match=reason):
        webhooks.webhooks_of(tmp_path / "collector.toml", PublicationSettings(webhooks=(address,)))


@pytest.mark.parametrize(
    "url", ["http://city.example/in", "ftp://city.example", "https://", "https://me:secret@city.example/in"]
)
def test_webhooks_are_encrypted_off_this_machine(url: str) -> None:
    with pytest.raises(ValidationError, match="expected https://"):
        WebhookAddress(id="city", url=url, secret_file="city.secret")


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    came: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(307 if self.path == "/moved" else 204)
            self.send_header("location", "/")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", came
    listening.shutdown()
    listening.server_close()
    thread.join(5)


def test_it_really_posts_and_follows_no_redirect(server: tuple[str, list[bytes]]) -> None:
    root, came = server
    assert webhooks.post_https(f"{root}/", b"{}", {"content-type": "application/json"}) == 204
    assert webhooks.post_https(f"{root}/moved", b"[]", {}) == 307
    assert came == [b"{}", b"[]"]
    with pytest.raises(ConnectionError):
        webhooks.post_https("http://127.0.0.1:1/", b"{}", {})
