"""Signing in over HTTP: by password, with limits, to an address of ours; and off loopback with TLS only."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from broker.collector import accounts, audit
from broker.collector.clips import ClipFolder
from broker.collector.review.guard import COOKIE
from broker.collector.review.server import ReviewError, ReviewServer
from broker.collector.review.settings import Review
from broker.collector.store import Store
from tests.broker.test_accounts import GOOD, OTHER
from tests.broker.test_review import session_of

pytestmark = pytest.mark.usefixtures("quick_hashes")
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def served(sqlite_store: Store, clips: ClipFolder) -> Iterator[httpx.Client]:
    """A server with one account, and a browser at its door."""
    with sqlite_store.write() as connection:
        accounts.add(connection, "kim", password=GOOD, role="admin", actor="console", now_s=1)
    server = ReviewServer(sqlite_store, clips)
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=SAME) as browser:
        yield browser
    server.close()


def sign_in(browser: httpx.Client, password: str, *, name: str = "kim", to: str = "/login") -> httpx.Response:
    return browser.post(to, data={"name": name, "password": password})


def trail(store: Store) -> list[tuple[str, str, str]]:
    with store.read() as connection:
        return [(row["actor"], row["action"], row["subject"]) for row in audit.rows(connection)][1:]


def test_the_right_password_opens(served: httpx.Client, sqlite_store: Store) -> None:
    assert (
        served.get("/nodes", headers={"Accept": "text/html"}).headers["location"] == "/login?wanted=%2Fnodes"
    )
    answer = sign_in(served, GOOD, to="/login?wanted=%2Fnodes")
    assert (answer.status_code, answer.headers["location"]) == (303, "/nodes")
    session = session_of(answer)
    cookie = {"Cookie": f"{COOKIE}={session}"}
    assert served.get("/nodes", headers=cookie).status_code == 200

    out = served.post("/logout", headers=cookie)
    assert out.headers["clear-site-data"] == '"cache", "storage"'
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert served.get("/nodes", headers=cookie).status_code == 401
    assert trail(sqlite_store) == [("kim", "login", "kim"), ("kim", "logout", "kim")]


def test_a_session_begins_anew_with_each_sign_in(served: httpx.Client) -> None:
    first = session_of(sign_in(served, GOOD))
    again = served.post(
        "/login", data={"name": "kim", "password": GOOD}, headers={"Cookie": f"{COOKIE}={first}"}
    )
    assert session_of(again) != first
    assert served.get("/", headers={"Cookie": f"{COOKIE}={first}"}).status_code == 401
    planted = served.post(
        "/login", data={"name": "kim", "password": GOOD}, headers={"Cookie": f"{COOKIE}=planted"}
    )
    assert session_of(planted) != "planted"


def test_the_wrong_ones_do_not_and_say_no_more(served: httpx.Client, sqlite_store: Store) -> None:
    wrong, unknown = sign_in(served, OTHER), sign_in(served, GOOD, name="hunter2")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text == unknown.text
    assert "set-cookie" not in wrong.headers
    assert trail(sqlite_store) == [
        ("nobody", "login_failed", "kim"),
        ("nobody", "login_failed", "no such account"),  # what was typed may be a password
    ]


def test_too_many_tries_have_to_wait(served: httpx.Client) -> None:
    codes = [sign_in(served, OTHER).status_code for _ in range(11)]
    assert codes == [401] * 10 + [429]
    waiting = sign_in(served, GOOD)
    assert waiting.status_code == 429
    assert 0 < int(waiting.headers["retry-after"]) <= 901
    assert sign_in(served, GOOD, name="lee").status_code == 401, "another account is not locked by it"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nx: y",
        "evil",
    ],
)
def test_one_goes_on_to_addresses_of_ours_only(served: httpx.Client, wanted: str) -> None:
    answer = served.post("/login", params={"wanted": wanted}, data={"name": "kim", "password": GOOD})
    assert answer.headers["location"] == "/"


def test_a_password_is_changed_by_who_knows_the_old_one(served: httpx.Client) -> None:
    cookie = {"Cookie": f"{COOKIE}={session_of(sign_in(served, GOOD))}"}
    elsewhere = {"Cookie": f"{COOKIE}={session_of(sign_in(served, GOOD))}"}

    def change(old: str, new: str) -> httpx.Response:
        return served.post("/account/password", data={"old": old, "new": new}, headers=cookie)

    assert "not right" in change(OTHER, OTHER).text
    assert "at least 15" in change(GOOD, "short").text
    assert served.get("/", headers=elsewhere).status_code == 200
    changed = change(GOOD, OTHER)
    assert changed.status_code == 200
    assert served.get("/", headers=elsewhere).status_code == 401
    assert served.get("/", headers={"Cookie": f"{COOKIE}={session_of(changed)}"}).status_code == 200
    assert sign_in(served, GOOD).status_code == 401


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "review.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(folder / "c.pem"), str(folder / "k.pem")


def test_with_a_certificate_it_is_https_and_stays_so(
    sqlite_store: Store, clips: ClipFolder, certificate: tuple[str, str]
) -> None:
    settings = Review(
        host="0.0.0.0", public_url="https://review.test", certificate=certificate[0], key=certificate[1]
    )
    server = ReviewServer(sqlite_store, clips, host="127.0.0.1", settings=settings)
    server.start()
    root = f"https://127.0.0.1:{server.port}"
    try:
        trust = ssl.create_default_context(cafile=certificate[0])
        with httpx.Client(base_url=root, verify=trust) as browser:
            answer = browser.get("/login", headers={"Host": "review.test"})
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
            assert browser.get("/login").status_code == 421, "only the name people type"
        with pytest.raises(httpx.HTTPError):
            httpx.get(root.replace("https", "http") + "/login")
    finally:
        server.close()


def test_on_loopback_without_tls_nothing_is_said_of_https(served: httpx.Client) -> None:
    assert "strict-transport-security" not in served.get("/login").headers


def test_a_certificate_that_is_none_is_named(sqlite_store: Store, clips: ClipFolder, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(ReviewError, match=r"review\.certificate"):
        ReviewServer(sqlite_store, clips, settings=Review(certificate=missing, key=missing))


PUBLIC = "https://review.example.org"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({"host": "0.0.0.0"}, "with TLS only", id="everywhere without TLS"),
        pytest.param({"host": "192.0.2.7", "proxy": "192.0.2.1"}, "public_url is missing", id="no name"),
        pytest.param({"proxy": "127.0.0.1"}, "public_url is missing", id="a proxy without a name"),
        pytest.param({"certificate": "c"}, "come together", id="no key"),
        pytest.param({"public_url": "http://review.example.org"}, "expected https", id="unencrypted"),
        pytest.param({"public_url": PUBLIC + "/review"}, "nothing behind it", id="a path"),
        pytest.param(
            {"certificate": "c", "key": "k", "proxy": "127.0.0.1", "public_url": PUBLIC},
            "not both",
            id="both",
        ),
        pytest.param({"session_h": 25}, "less than or equal", id="too long"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Review.model_validate(values)


def test_behind_a_proxy_the_address_is_what_the_proxy_says(sqlite_store: Store, clips: ClipFolder) -> None:
    with sqlite_store.write() as connection:
        accounts.add(connection, "kim", password=GOOD, role="admin", actor="console", now_s=1)
    server = ReviewServer(sqlite_store, clips, settings=Review(proxy="127.0.0.1", public_url=PUBLIC))
    server.start()
    host = {**SAME, "Host": "review.example.org"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=host) as browser:

            def tried(address: str) -> int:
                return browser.post(
                    "/login",
                    data={"name": "kim", "password": OTHER},
                    headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"},
                ).status_code

            assert [tried("192.0.2.1") for _ in range(11)][-1] == 429
            assert tried("192.0.2.2") == 401
            assert "strict-transport-security" in browser.get("/login").headers
    finally:
        server.close()
