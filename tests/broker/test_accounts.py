"""Accounts, passwords, sessions and limits: who comes in, for how long, and how often one may try."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.collector import accounts, audit, passwords, sessions
from broker.collector.accounts import AccountError, Who
from broker.collector.review.limits import Limit
from broker.collector.sessions import Times
from broker.collector.store import Store
from broker.collector.tables import accounts as accounts_table
from broker.collector.tables import sessions as sessions_table
from edge.cli import app

GOOD = "plain-otter-kettle-42"
OTHER = "quartz lamp under bridge"


@pytest.fixture(autouse=True)
def hashes(request: pytest.FixtureRequest) -> None:
    if "argon2id" not in request.node.name:
        request.getfixturevalue("quick_hashes")


def add(store: Store, name: str = "kim", **more: object) -> None:
    values = {"password": GOOD, "role": "reviewer", "actor": "console", "now_s": 100, **more}
    with store.write() as connection:
        accounts.add(connection, name, **values)  # type: ignore[arg-type]  # a table of keywords


@pytest.mark.parametrize(
    ("password", "taken"),
    [
        pytest.param(GOOD, True, id="four words"),
        pytest.param("åäö ünïcode pass phrase", True, id="any letters, spaces too"),
        pytest.param("x7" * 7, False, id="fourteen characters"),
        pytest.param("password1234567", False, id="common, made longer"),
        pytest.param("aaaaaaaaaaaaaaaa", False, id="one letter"),
        pytest.param("qwertyuiopasdfghjkl", False, id="a row of keys"),
        pytest.param("nearmissnearmiss1", False, id="the product's name"),
        pytest.param("kim-main-5th-kim", False, id="the account's and the site's name"),
        pytest.param("ab3$" * 40, False, id="longer than any store takes"),
        pytest.param("plain otter\nkettle 42", False, id="two lines"),
    ],
)
def test_a_password_is_long_and_not_a_common_one(password: str, taken: bool) -> None:
    assert (passwords.problem(password, context=["kim", "main-5th"]) is None) == taken


def test_64_characters_and_more_are_taken_whole(store: Store) -> None:
    long = "correct horse battery staple, said the otter to the kettle under the bridge 7"
    assert len(long) > 64
    add(store, password=long)
    with store.read() as connection:
        assert accounts.by_password(connection, "kim", long) is not None
        assert accounts.by_password(connection, "kim", long[:-1]) is None


def test_only_argon2id_hashes_are_kept(store: Store) -> None:
    add(store)
    with store.read() as connection:
        kept = connection.execute(select(accounts_table.c.password)).scalar_one()
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in kept


def test_only_the_right_password_of_an_open_account_opens_it(store: Store) -> None:
    add(store)
    add(store, "lee", password=None, subject="sub-1", issuer="https://id.example")
    with store.write() as connection:
        assert accounts.by_password(connection, "kim", GOOD) == Who("kim", {"*": "reviewer"})
        for name, password in (("kim", OTHER), ("Kim", GOOD), ("lee", ""), ("lee", GOOD), ("nobody", GOOD)):
            assert accounts.by_password(connection, name, password) is None
        assert accounts.by_subject(connection, "https://id.example", "sub-1") == "lee"
        assert accounts.by_subject(connection, "https://id.example", "sub-2") is None
        accounts.set_disabled(connection, "kim", True, actor="console", now_s=1)
        assert accounts.by_password(connection, "kim", GOOD) is None


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        pytest.param("Kim", {}, "a name has", id="capital letter"),
        pytest.param("console", {}, "uses this name", id="a name of the trail"),
        pytest.param("kim", {"sites": ("Main",)}, "a site is named", id="no site"),
        pytest.param("kim", {"sites": ()}, "at least one site", id="nowhere"),
        pytest.param("kim", {"password": "short"}, "at least 15", id="short password"),
    ],
)
def test_what_cannot_be_an_account_is_refused(
    sqlite_store: Store, name: str, values: dict[str, object], said: str
) -> None:
    with pytest.raises(AccountError, match=said):
        add(sqlite_store, name, **values)
    with sqlite_store.read() as connection:
        assert accounts.listed(connection) == []


def test_roles_are_per_site() -> None:
    who = Who("kim", {"a": "viewer", "b": "reviewer", "c": "admin"})
    assert [who.may("reviewer", site) for site in "abcd"] == [False, True, True, False]
    assert who.may("admin") and not who.may("admin", "a")
    assert who.sites("viewer") == {"a", "b", "c"}
    assert who.sites("admin") == {"c"}
    assert Who("lee", {"*": "reviewer", "a": "viewer"}).may("reviewer", "a")
    assert Who("lee", {"*": "reviewer"}).sites("reviewer") is None
    assert not Who("nobody", {}).may("viewer")


def test_what_is_done_to_accounts_is_in_the_trail_without_a_secret(store: Store) -> None:
    add(store, sites=("main-5th",))
    with store.write() as connection:
        accounts.set_role(connection, "kim", "admin", sites=("*",), actor="console", now_s=2)
        accounts.set_role(connection, "kim", None, sites=("main-5th",), actor="console", now_s=3)
        accounts.set_password(connection, "kim", OTHER, actor="kim", now_s=4)
        rows = [
            (row["actor"], row["action"], row["subject"], row["detail"]) for row in audit.rows(connection)
        ]
        assert accounts.who(connection, "kim") == Who("kim", {"*": "admin"})
    assert [row[1] for row in rows] == ["user_add", "user_role", "user_role", "user_password"]
    assert not any(GOOD in str(row) or OTHER in str(row) or "argon2" in str(row) for row in rows)


TIMES = Times(idle_s=600, absolute_s=3600)


def begun(store: Store, *, now_s: int = 1000) -> str:
    with store.write() as connection:
        return sessions.begin(connection, "kim", times=TIMES, now_s=now_s)


def found(store: Store, token: str, *, now_s: int) -> bool:
    with store.read() as connection:
        return sessions.find(connection, token, times=TIMES, now_s=now_s) is not None


def test_a_session_ends_by_idleness_and_by_age(store: Store) -> None:
    add(store)
    token = begun(store)
    assert found(store, token, now_s=1600)
    assert not found(store, token, now_s=1601)
    for now_s in range(1000, 4600, 500):
        with store.write() as connection:
            sessions.note(connection, token, now_s=now_s)
        assert found(store, token, now_s=now_s)
    with store.write() as connection:
        sessions.note(connection, token, now_s=4600)
    assert found(store, token, now_s=4600)
    assert not found(store, token, now_s=4601)


def test_the_store_holds_no_token(store: Store) -> None:
    add(store)
    token = begun(store)
    with store.read() as connection:
        (kept,) = connection.execute(select(sessions_table.c.token)).scalars()
    assert token not in kept
    assert not found(store, kept, now_s=1000)


@pytest.mark.parametrize("how", ["password", "disabled", "ended", "role"])
def test_what_ends_a_session(store: Store, how: str) -> None:
    add(store)
    token = begun(store)
    with store.write() as connection:
        if how == "password":
            accounts.set_password(connection, "kim", OTHER, actor="kim", now_s=1001)
        elif how == "disabled":
            accounts.set_disabled(connection, "kim", True, actor="console", now_s=1001)
        elif how == "ended":
            sessions.end(connection, token)
        else:
            accounts.set_role(connection, "kim", None, sites=("*",), actor="console", now_s=1001)
    with store.read() as connection:
        session = sessions.find(connection, token, times=TIMES, now_s=1002)
    assert session is None or not session.who.may("viewer")


def test_sessions_that_are_over_are_forgotten(store: Store) -> None:
    add(store)
    begun(store, now_s=1000)
    begun(store, now_s=9000)
    with store.read() as connection:
        assert len(connection.execute(select(sessions_table)).all()) == 1


def test_a_limit_moves_with_the_clock() -> None:
    now = [0.0]
    limit = Limit(2, 60.0, clock=lambda: now[0])
    assert [limit.take("a"), limit.take("a"), limit.take("b")] == [0, 0, 0]
    now[0] = 20.0
    assert limit.take("a") == 40.0
    limit.give_back("a")
    assert limit.take("a") == 0
    now[0] = 61.0
    assert limit.take("a") == 0


@pytest.fixture
def collector(tmp_path: Path) -> Path:
    path = tmp_path / "collector.toml"
    path.write_text('[store]\ndatabase = "sqlite:///collector.db"\n')
    return path


def nearmiss(*arguments: object, typed: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        app([str(each) for each in arguments])
    return int(ended.value.code or 0)


def test_accounts_are_made_at_the_console(
    collector: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object, typed: str = "") -> int:
        return nearmiss("user", *arguments, typed=typed, monkeypatch=monkeypatch)

    assert run("list", collector) == 0
    assert "no account yet" in capsys.readouterr().out
    assert run("add", collector, "kim", "--role", "admin", typed=GOOD + "\n") == 0
    assert run("add", collector, "lee", "--role", "reviewer", "--site", "main-5th", typed=GOOD + "\n") == 0
    assert run("role", collector, "lee", "viewer", "--site", "elm-2nd") == 0
    assert run("password", collector, "kim", typed=OTHER + "\n") == 0
    assert run("disable", collector, "lee") == 0
    capsys.readouterr()
    assert run("list", collector) == 0
    shown = capsys.readouterr().out
    assert "kim" in shown and "admin at every site" in shown and "closed" in shown
    with pytest.raises(AccountError, match="already"):
        app(["user", "add", str(collector), "kim", "--role", "admin"], standalone_mode=False)
