"""Signing in at an OpenID provider: who is let in, and each attack that must not let anybody in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from sqlalchemy import select

from broker.collector import accounts, audit
from broker.collector.clips import ClipFolder
from broker.collector.config import ConfigError, load_collector
from broker.collector.review.guard import COOKIE
from broker.collector.review.oidc import OidcError, Provider
from broker.collector.review.oidc_settings import Oidc
from broker.collector.review.pages_oidc import PENDING
from broker.collector.review.server import ReviewServer
from broker.collector.review.settings import Review
from broker.collector.store import Store
from broker.collector.tables import accounts as accounts_table
from edge.cli import app
from tests.broker.openid import CLIENT, SECRET, Claims, OpenId, openid, somebody_elses
from tests.broker.test_accounts import GOOD

pytest.importorskip("authlib", reason="no Authlib: pip install 'nearmiss[oidc]'")


@pytest.fixture
def provider() -> Iterator[OpenId]:
    with openid() as running:
        yield running


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    if importlib.util.find_spec("oidc_provider_mock") is None:
        pytest.skip("oidc-provider-mock is not installed")
    with somebody_elses() as issuer:
        yield issuer


@dataclass
class Door:
    """The review page beside a provider, and a browser that follows no address by itself."""

    provider: OpenId
    store: Store
    browser: httpx.Client
    server: ReviewServer

    def away(self, wanted: str = "/") -> tuple[str, str]:
        """Begin, and return where the browser is sent and the cookie it is given."""
        self.browser.cookies.clear()
        answer = self.browser.get("/login/oidc", params={"wanted": wanted})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"], pending_of(answer)

    def back(self, address: str, pending: str | None, **more: str) -> httpx.Response:
        """Come to where the provider sends the browser, with this cookie."""
        self.browser.cookies.clear()
        cookies = "; ".join(
            f"{name}={value}" for name, value in {PENDING: pending, **more}.items() if value is not None
        )
        headers = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html", "Cookie": cookies}
        return self.browser.get(address, headers=headers)

    def sign_in(self, wanted: str = "/") -> httpx.Response:
        to, pending = self.away(wanted)
        return self.back(httpx.get(to).headers["location"], pending)

    def trail(self) -> list[tuple[str, str, str, Any]]:
        with self.store.read() as connection:
            rows = [dict(row) for row in audit.rows(connection)]
        return [
            (row["actor"], row["action"], row["subject"], json.loads(row["detail"]).get("why"))
            for row in rows
            if row["action"].startswith("login")
        ]

    def open_to(self, answer: httpx.Response) -> int:
        """Return what the first page answers to the session an answer has begun."""
        self.browser.cookies.clear()
        session = session_of(answer)
        return self.browser.get("/", headers={"Cookie": f"{COOKIE}={session}"}).status_code


def pending_of(answer: httpx.Response) -> str:
    return next(c for c in answer.headers.get_list("set-cookie") if c.startswith(PENDING)).split(";")[0][
        len(PENDING) + 1 :
    ]


def session_of(answer: httpx.Response) -> str:
    found = [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE + "=")]
    return found[0].split(";")[0].partition("=")[2] if found else ""


def settings_of(provider: OpenId, folder: Path, **more: Any) -> Oidc:
    secret = folder / "oidc.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    values = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret_file": str(secret),
        "name": "City",
    }
    return Oidc(**{**values, **more})


@pytest.fixture
def door(provider: OpenId, sqlite_store: Store, clips: ClipFolder, tmp_path: Path) -> Iterator[Door]:
    with sqlite_store.write() as connection:
        named = {"subject": provider.subject, "issuer": provider.issuer}
        accounts.add(connection, "kim", role="reviewer", sites=("a",), actor="console", now_s=1, **named)
    server = ReviewServer(sqlite_store, clips, settings=Review(oidc=settings_of(provider, tmp_path)))
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as browser:
        yield Door(provider, sqlite_store, browser, server)
    server.close()


def test_who_has_an_account_comes_in_as_it_and_nothing_else_is_kept(door: Door) -> None:
    answer = door.sign_in("/nodes?x=1")
    assert answer.status_code == 200
    assert 'url=/nodes?x=1"' in answer.text
    assert "SameSite=Strict" in next(
        c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE + "=")
    )
    assert door.open_to(answer) == 200
    assert door.trail() == [("kim", "login", "kim", None)]
    # The token said "admin": what somebody may do is in our store.
    page = door.browser.get("/plates", headers={"Cookie": f"{COOKIE}={session_of(answer)}"})
    assert page.status_code == 403
    asked = door.provider.asked[0]
    assert (asked["scope"], asked["response_type"]) == ("openid", "code")
    assert (asked["code_challenge_method"], asked["client_id"]) == ("S256", CLIENT)
    with door.store.read() as connection:
        row = dict(connection.execute(select(accounts_table)).mappings().one())
    assert {name for name, value in row.items() if value is not None} == {
        "name",
        "subject",
        "issuer",
        "created_s",
    }


def test_a_session_of_before_ends_and_signing_out_tells_of_the_provider(door: Door) -> None:
    first = session_of(door.sign_in())
    to, pending = door.away()
    second = door.back(httpx.get(to).headers["location"], pending, **{COOKIE: first})
    assert door.browser.get("/", headers={"Cookie": f"{COOKIE}={first}"}).status_code == 401
    headers = {"Cookie": f"{COOKIE}={session_of(second)}", "Sec-Fetch-Site": "same-origin"}
    out = door.browser.post("/logout", headers=headers)
    assert out.headers["location"] == "/login?left=true"
    assert door.open_to(second) == 401
    assert "/login/oidc/end" in door.browser.get("/login?left=true").text
    ended = door.browser.get("/login/oidc/end").headers["location"]
    assert ended.startswith(door.provider.issuer + "/end?client_id=nearmiss&post_logout_redirect_uri=")


def test_a_subject_without_an_account_is_shown_itself_and_stays_outside(door: Door) -> None:
    door.provider.subject = "somebody-else"
    answer = door.sign_in()
    assert answer.status_code == 403
    assert "somebody-else" in answer.text
    assert session_of(answer) == ""
    assert door.trail() == [("nobody", "login_failed", "no such account", "subject")]


def test_the_same_subject_at_another_provider_is_somebody_else(door: Door) -> None:
    with door.store.write() as connection:
        accounts.set_subject(
            connection,
            "kim",
            door.provider.subject,
            issuer="https://other.example",
            actor="console",
            now_s=2,
        )
    assert door.sign_in().status_code == 403


def test_a_closed_account_stays_closed(door: Door) -> None:
    with door.store.write() as connection:
        accounts.set_disabled(connection, "kim", True, actor="console", now_s=2)
    answer = door.sign_in()
    assert (answer.status_code, session_of(answer)) == (403, "")
    assert door.trail() == [("nobody", "login_failed", "kim", "subject")]


def unsigned(claims: Claims, header: dict[str, Any], signature: bytes = b"") -> str:
    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    return ".".join([part(json.dumps(header).encode()), part(json.dumps(claims).encode()), part(signature)])


def none(provider: OpenId) -> None:
    provider.sign = lambda claims: unsigned(claims, {"alg": "none"})


def by_hmac(provider: OpenId, secret: bytes, header: dict[str, Any]) -> None:
    def sign(claims: Claims) -> str:
        head, body, _ = unsigned(claims, header).split(".")
        digest = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        return f"{head}.{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    provider.sign = sign


def public_key_as_secret(provider: OpenId) -> None:
    by_hmac(provider, provider.key.as_pem(private=False), {"alg": "HS256", "kid": "first"})


def client_secret_as_key(provider: OpenId) -> None:
    by_hmac(provider, SECRET.encode(), {"alg": "HS256"})


def shared_key_among_the_public(provider: OpenId) -> None:
    key = OctKey.generate_key(256, {"kid": "shared"})
    published = {"keys": [*KeySet([provider.key]).as_dict(private=False)["keys"], key.as_dict(private=True)]}
    provider.keys = lambda: published  # type: ignore[method-assign]
    by_hmac(provider, key.raw_value, {"alg": "HS256", "kid": "shared"})


def key_of_somebody(provider: OpenId) -> None:
    key = RSAKey.generate_key(2048, {"kid": "first"})
    provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, key)


def key_in_the_header(provider: OpenId) -> None:
    key = RSAKey.generate_key(2048)
    header = {"alg": "RS256", "jwk": key.as_dict(private=False)}
    provider.sign = lambda claims: jwt.encode(header, claims, key)


def cut(provider: OpenId) -> None:
    provider.sign = lambda claims: provider.signed(claims)[:-6] + "AAAAAA"


def saying(**changed: Any) -> Callable[[OpenId], None]:
    def twist(provider: OpenId) -> None:
        said = {**changed, **({"exp": time.time() - 61} if changed.get("exp") == "past" else {})}
        provider.claims = lambda claims: {
            name: value for name, value in {**claims, **said}.items() if value is not None
        }

    return twist


def sent_back(**changed: str | None) -> Callable[[OpenId], None]:
    def twist(provider: OpenId) -> None:
        provider.back = changed

    return twist


ATTACKS = [
    pytest.param(sent_back(state="guessed"), "state", id="another state"),
    pytest.param(sent_back(state=None), "state", id="no state"),
    pytest.param(sent_back(iss="https://evil.example"), "issuer", id="mix-up: another provider's answer"),
    pytest.param(sent_back(iss=None), "issuer", id="mix-up: an answer that hides whose it is"),
    pytest.param(sent_back(code="guessed"), "code", id="another code"),
    pytest.param(sent_back(code=None, error="access_denied"), "denied", id="refused there"),
    pytest.param(saying(nonce="another"), "token", id="another nonce"),
    pytest.param(saying(nonce=None), "token", id="no nonce"),
    pytest.param(saying(aud="another-client"), "token", id="for another client"),
    pytest.param(saying(aud=[CLIENT, "another"], azp=CLIENT), "token", id="for another client too"),
    pytest.param(saying(azp="another-client"), "token", id="given to another client"),
    pytest.param(saying(aud=None), "token", id="for nobody"),
    pytest.param(saying(exp="past"), "token", id="expired"),
    pytest.param(saying(exp=None), "token", id="for ever"),
    pytest.param(saying(iat=time.time() + 3600), "token", id="from the future"),
    pytest.param(saying(iss="https://evil.example"), "token", id="of another issuer"),
    pytest.param(saying(iss=None), "token", id="of no issuer"),
    pytest.param(saying(sub=""), "token", id="an empty subject"),
    pytest.param(saying(sub=None), "token", id="no subject"),
    pytest.param(saying(sub="x" * 256), "token", id="a subject too long"),
    pytest.param(saying(sub="a\0b"), "token", id="a subject no store takes"),
    pytest.param(saying(sub=7), "token", id="a subject that is a number"),
    pytest.param(saying(at_hash="bm90IHRoZSBoYXNo"), "token", id="beside another access token"),
    pytest.param(none, "token", id="alg none"),
    pytest.param(public_key_as_secret, "token", id="HS256 with the public key"),
    pytest.param(client_secret_as_key, "token", id="HS256 with the client's secret"),
    pytest.param(shared_key_among_the_public, "token", id="HS256 with a key that is published"),
    pytest.param(key_of_somebody, "token", id="somebody's key under the same name"),
    pytest.param(key_in_the_header, "token", id="a key the token brings along"),
    pytest.param(cut, "token", id="a signature that is another"),
]


@pytest.mark.parametrize(("twist", "why"), ATTACKS)
def test_nobody_comes_in_by(door: Door, twist: Callable[[OpenId], None], why: str) -> None:
    twist(door.provider)
    answer = door.sign_in()
    assert answer.status_code == 401, answer.text
    assert "Signing in did not succeed" in answer.text
    assert session_of(answer) == ""
    assert door.trail() == [("nobody", "login_failed", "no such account", why)]
    # It was the twist: without it the same provider is believed.
    sound(door.provider)
    assert door.sign_in().status_code == 200


def sound(provider: OpenId) -> None:
    provider.claims, provider.sign, provider.back = lambda claims: claims, provider.signed, {}
    vars(provider).pop("keys", None)


def test_a_code_works_once(door: Door) -> None:
    to, pending = door.away()
    address = httpx.get(to).headers["location"]
    assert door.back(address, pending).status_code == 200
    again = door.back(address, pending)
    assert (again.status_code, session_of(again)) == (401, "")
    assert door.trail()[-1][3] == "state", "it is not even asked for"
    assert door.provider.refused == []


def test_a_code_is_no_use_to_another_browser(door: Door) -> None:
    to, victims = door.away()
    address = httpx.get(to).headers["location"]
    _, attackers = door.away()
    for pending in (None, attackers, "forged", victims[:-4] + "AAAA"):
        assert door.back(address, pending).status_code == 401
    assert door.provider.refused == []
    # With the state of the attacker's own sign-in the code reaches the provider, which asks for the verifier.
    to, attackers = door.away()
    state = dict(httpx.URL(to).params)["state"]
    code = dict(httpx.URL(address).params)["code"]
    forged = f"/login/oidc/callback?code={code}&state={state}&iss={door.provider.issuer}"
    assert door.back(forged, attackers).status_code == 401
    assert door.provider.refused == ["the verifier does not fit"]


def test_who_takes_too_long_begins_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    to, pending = door.away()
    address = httpx.get(to).headers["location"]
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 601)
    assert door.back(address, pending).status_code == 401


def test_the_cookie_shows_nothing_and_is_the_browsers_alone(door: Door) -> None:
    answer = door.browser.get("/login/oidc")
    (set_cookie,) = answer.headers.get_list("set-cookie")
    attributes = set(set_cookie.split("; ")[1:])
    assert attributes == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"}
    state = dict(httpx.URL(answer.headers["location"]).params)["state"]
    assert state.encode() not in base64.urlsafe_b64decode(pending_of(answer) + "==")


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_one_goes_on_to_addresses_of_ours_only(door: Door, wanted: str) -> None:
    assert "evil" not in door.sign_in(wanted).text


def test_a_new_key_of_the_provider_is_fetched_but_not_at_every_asking(
    provider: OpenId, tmp_path: Path
) -> None:
    clock = [time.time()]
    client = Provider(settings_of(provider, tmp_path), clock=lambda: clock[0])

    def signed_in() -> str:
        address, asked = client.begin(redirect_uri="http://127.0.0.1/back", wanted="/")
        return client.finish(asked, dict(httpx.URL(httpx.get(address).headers["location"]).params))

    assert signed_in() == provider.subject
    provider.key = RSAKey.generate_key(2048, {"kid": "second"})
    for _ in range(3):
        with pytest.raises(OidcError, match="token"):
            signed_in()
    assert provider.fetched.count("/keys") == 1
    clock[0] += 61
    assert signed_in() == provider.subject
    assert provider.fetched.count("/keys") == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"issuer": "https://evil.example"}, id="another issuer"),
        pytest.param({"token_endpoint": "http://192.0.2.1/token"}, id="a token endpoint without TLS"),
        pytest.param({"jwks_uri": "http://192.0.2.1/keys"}, id="keys without TLS"),
        pytest.param({"code_challenge_methods_supported": ["plain"]}, id="no PKCE"),
        pytest.param({"token_endpoint": None}, id="no token endpoint"),
    ],
)
def test_a_provider_that_is_not_sound_is_not_used(door: Door, change: dict[str, Any]) -> None:
    door.provider.metadata.update(change)
    answer = door.browser.get("/login/oidc", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert door.provider.asked == []


def test_a_provider_that_sends_elsewhere_is_not_followed(door: Door) -> None:
    door.provider.moved["/.well-known/openid-configuration"] = door.provider.issuer + "/elsewhere"
    assert door.browser.get("/login/oidc").status_code == 503
    assert "/elsewhere" not in door.provider.fetched


def test_while_the_provider_is_away_passwords_still_work(
    sqlite_store: Store, clips: ClipFolder, tmp_path: Path, quick_hashes: None
) -> None:
    with openid() as gone:
        settings = settings_of(gone, tmp_path)
    with sqlite_store.write() as connection:
        accounts.add(connection, "lee", password=GOOD, role="viewer", actor="console", now_s=1)
    server = ReviewServer(sqlite_store, clips, settings=Review(oidc=settings))
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as browser:
            assert [browser.get("/login/oidc").status_code for _ in range(3)] == [503] * 3
            answer = browser.post(
                "/login", data={"name": "lee", "password": GOOD}, headers={"Sec-Fetch-Site": "same-origin"}
            )
            assert answer.status_code == 303
    finally:
        server.close()


def test_too_many_tries_have_to_wait(door: Door) -> None:
    codes = [door.browser.get("/login/oidc/callback?code=x&state=y").status_code for _ in range(51)]
    assert codes == [401] * 50 + [429]


def test_who_must_have_shown_a_second_factor(
    provider: OpenId, sqlite_store: Store, clips: ClipFolder, tmp_path: Path
) -> None:
    with sqlite_store.write() as connection:
        named = {"subject": provider.subject, "issuer": provider.issuer}
        accounts.add(connection, "kim", role="viewer", actor="console", now_s=1, **named)
    settings = Review(oidc=settings_of(provider, tmp_path, acr=("phr", "mfa")))
    server = ReviewServer(sqlite_store, clips, settings=settings)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as browser:
            door = Door(provider, sqlite_store, browser, server)
            assert door.sign_in().status_code == 401
            assert provider.asked[0]["acr_values"] == "phr mfa"
            saying(acr="password")(provider)
            assert door.sign_in().status_code == 401
            saying(acr="mfa")(provider)
            assert door.sign_in().status_code == 200
    finally:
        server.close()


def test_without_a_provider_there_is_no_such_door(sqlite_store: Store, clips: ClipFolder) -> None:
    server = ReviewServer(sqlite_store, clips)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as browser:
            for path in ("/login/oidc", "/login/oidc/callback?code=x&state=y", "/login/oidc/end"):
                assert browser.get(path).status_code == 404
            assert "oidc" not in browser.get("/login").text
    finally:
        server.close()


def test_with_one_it_is_on_the_page(door: Door) -> None:
    text = door.browser.get("/login?wanted=%2Fnodes").text
    assert 'href="/login/oidc?wanted=%2Fnodes"' in text or 'href="/login/oidc?wanted=/nodes"' in text
    assert "Sign in with City" in text
    assert "/login/oidc/end" not in text


FILE = """
[review.oidc]
issuer = "{issuer}"
client_id = "nearmiss"
"""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param('issuer = "http://id.example"\nclient_id = "a"', "issuer: expected https", id="no TLS"),
        pytest.param('issuer = "https://id.example"', "client_id: Field required", id="no client"),
        pytest.param(
            'issuer = "https://id.example"\nclient_id = "a"\nclient_secret_file = "none.secret"',
            "review.oidc.client_secret_file: {folder}/none.secret: No such file",
            id="no secret",
        ),
        pytest.param(
            'issuer = "https://id.example"\nclient_id = "a"\nclient_secret_file = "open.secret"',
            "may be read by others; expected mode 0600",
            id="a secret others may read",
        ),
        pytest.param(
            'issuer = "https://id.example"\nclient_id = "a"\nca = "open.secret"',
            "open.secret: is no certificate",
            id="a CA that is none",
        ),
        pytest.param(
            'issuer = "https://id.example"\nclient_id = "a"\nrole_claim = "groups"',
            "role_claim: Extra inputs",
            id="roles from a token",
        ),
    ],
)
def test_a_bad_table_is_told_in_one_line(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "open.secret").write_text("secret")
    (tmp_path / "open.secret").chmod(0o644)
    path = tmp_path / "collector.toml"
    path.write_text(f"[review.oidc]\n{lines}\n")
    with pytest.raises(ConfigError) as raised:
        load_collector(path)
    assert len(raised.value.problems) == 1
    assert said.format(folder=tmp_path) in raised.value.problems[0]


def test_the_command_makes_an_account_of_a_subject(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    path = tmp_path / "collector.toml"
    path.write_text("")
    command = ["user", "add", str(path), "kim", "--role", "viewer", "--subject", "1234"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0
    path.write_text(FILE.format(issuer="https://id.example"))
    assert CliRunner().invoke(app, command).exit_code == 0
    assert "OIDC" in CliRunner().invoke(app, ["user", "list", str(path)]).output
    store = Store(f"sqlite:///{tmp_path / 'collector.db'}")
    with store.read() as connection:
        assert accounts.by_subject(connection, "https://id.example", "1234") == "kim"
        assert accounts.by_subject(connection, "https://id2.example", "1234") is None
    assert CliRunner().invoke(app, ["user", "subject", str(path), "kim", "--none"]).exit_code == 0
    with store.read() as connection:
        assert accounts.by_subject(connection, "https://id.example", "1234") is None
        assert "1234" not in str([dict(row) for row in audit.rows(connection)])
    store.close()


def test_a_provider_somebody_else_wrote_lets_in(
    foreign: str, sqlite_store: Store, clips: ClipFolder, tmp_path: Path
) -> None:
    with sqlite_store.write() as connection:
        named = {"subject": "kim@city", "issuer": foreign}
        accounts.add(connection, "kim", role="reviewer", actor="console", now_s=1, **named)
    (tmp_path / "secret").write_text("any")
    (tmp_path / "secret").chmod(0o600)
    known = Oidc(issuer=foreign, client_id=CLIENT, client_secret_file=str(tmp_path / "secret"))
    server = ReviewServer(sqlite_store, clips, settings=Review(oidc=known))
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as browser:
            begun = browser.get("/login/oidc")
            back = httpx.post(begun.headers["location"], data={"sub": "kim@city"}).headers["location"]
            headers = {"Cookie": f"{PENDING}={pending_of(begun)}"}
            browser.cookies.clear()
            answer = browser.get(back, headers=headers)
            assert answer.status_code == 200, answer.text
            browser.cookies.clear()
            inside = browser.get("/", headers={"Cookie": f"{COOKIE}={session_of(answer)}"})
            assert "kim" in inside.text
    finally:
        server.close()
