"""The audit trail: one chain under any concurrency, and a byte changed anywhere breaks it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from broker.collector import audit, findings
from broker.collector.audit_check import _links, run, verified
from broker.collector.clips import ClipFolder
from broker.collector.config import Retention
from broker.collector.store import Store, StoreError, keep
from broker.collector.sweeper import Sweeper
from broker.collector.tables import audit as trail
from broker.collector.tables import audit_ends, decisions
from tests.broker.records import event


def write(store: Store, count: int, *, at_s: int = 100) -> None:
    with store.write() as connection:
        for n in range(count):
            audit.append(
                connection, actor="kim", action="view_clip", subject=f"clip {n}", detail={"n": n}, now_s=at_s
            )


def problem(store: Store, *, noted: Collection[audit.Link] = ()) -> str | None:
    with store.read() as connection:
        return verified(connection, noted=noted).problem


def change(store: Store, statement: object) -> None:
    with store.write() as connection:
        connection.execute(statement)  # type: ignore[call-overload]  # any statement


def test_rows_follow_each_other(store: Store) -> None:
    assert problem(store) is None
    write(store, 5)
    with store.read() as connection:
        found = verified(connection)
        assert [row["n"] for row in audit.rows(connection)] == [1, 2, 3, 4, 5]
    assert (found.rows, found.anchor.n, found.head.n, found.problem) == (5, 0, 5, None)


@pytest.mark.parametrize("column", [column.name for column in trail.columns])
def test_a_byte_changed_in_any_column_breaks_the_chain_there(store: Store, column: str) -> None:
    write(store, 4)
    with store.read() as connection:
        was = connection.execute(select(trail.c[column]).where(trail.c.n == 3)).scalar_one()
    flipped = was + 40 if isinstance(was, int) else was[:-1] + chr(ord(was[-1]) ^ 1)
    change(store, update(trail).where(trail.c.n == 3).values({column: flipped}))
    assert (problem(store) or "").startswith("row 3: ")


@pytest.mark.parametrize("part", ["anchor", "head"])
@pytest.mark.parametrize("values", [{"n": 9}, {"hash": "1" * 64}, None], ids=["number", "hash", "gone"])
def test_either_end_is_sealed_too(store: Store, part: str, values: dict[str, object] | None) -> None:
    write(store, 2)
    here = audit_ends.c.part == part
    change(
        store,
        delete(audit_ends).where(here) if values is None else update(audit_ends).where(here).values(values),
    )
    assert problem(store) is not None


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_row_taken_out_shows(store: Store, n: int) -> None:
    write(store, 3)
    change(store, delete(trail).where(trail.c.n == n))
    assert (problem(store) or "").startswith(f"row {n}: ")


def test_a_chain_written_anew_does_not_hold_the_head_that_was_noted(store: Store) -> None:
    write(store, 3)
    with store.read() as connection:
        noted = audit.head(connection)
    write(store, 2)
    assert problem(store, noted=[noted]) is None
    change(store, delete(trail))
    change(store, update(audit_ends).values(n=0, hash=audit.FIRST))
    write(store, 6, at_s=101)
    assert problem(store) is None
    assert problem(store, noted=[noted]) == "row 3: not the hash that was noted as the head"


def test_what_is_past_its_time_is_cut_off_and_the_rest_holds(store: Store) -> None:
    write(store, 3, at_s=100)
    write(store, 2, at_s=200)
    with store.write() as connection:
        assert audit.cut(connection, before_s=200, now_s=300) == 3
        assert audit.cut(connection, before_s=200, now_s=300) == 0
    with store.read() as connection:
        found = verified(connection)
        kept = [(row["n"], row["action"], row["subject"]) for row in audit.rows(connection)]
    assert kept == [(4, "view_clip", "clip 0"), (5, "view_clip", "clip 1"), (6, "cut", "3")]
    assert (found.rows, found.anchor.n, found.problem) == (3, 3, None)
    change(store, delete(trail).where(trail.c.n == 4))
    assert problem(store) == "row 4: row 4 is missing; row 5 follows"


def test_a_clock_set_back_cuts_no_row_that_is_younger(store: Store) -> None:
    write(store, 1, at_s=100)
    write(store, 1, at_s=500)
    write(store, 1, at_s=100)
    with store.write() as connection:
        assert audit.cut(connection, before_s=200, now_s=600) == 1
    assert problem(store) is None


def test_all_may_be_past_its_time(store: Store) -> None:
    write(store, 3, at_s=100)
    with store.write() as connection:
        assert audit.cut(connection, before_s=200, now_s=300) == 3
    assert problem(store) is None


def test_nothing_is_written_where_the_transaction_fails(store: Store) -> None:
    write(store, 1)
    with pytest.raises(RuntimeError), store.write() as connection:
        audit.append(connection, actor="kim", action="login", subject="kim", now_s=1)
        raise RuntimeError
    write(store, 1)
    with store.read() as connection:
        assert verified(connection).rows == 2
    assert problem(store) is None


def test_only_listed_actions_are_written(store: Store) -> None:
    with store.write() as connection, pytest.raises(ValueError, match="not one of"):
        audit.append(connection, actor="kim", action="peek", subject="", now_s=1)  # type: ignore[arg-type]


def test_twenty_writers_at_once_make_one_chain(store: Store) -> None:
    failures: list[BaseException] = []
    own = [Store(store.engine.url.render_as_string(hide_password=False)) for _ in range(20)]

    def work(mine: Store) -> None:
        try:
            for _ in range(5):
                write(mine, 1)
        except OperationalError as error:
            failures.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=work, args=(each,)) for each in own]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    with store.read() as connection:
        found = verified(connection)
    assert (found.rows, found.head.n, found.problem) == (100, 100, None)


@pytest.fixture
def decided(store: Store) -> Store:
    records = [event(seq=1), event(seq=2)]
    with store.write() as connection:
        keep(connection, new_events=records)
        findings.decide(connection, str(records[0].id), "confirm", reviewer="kim", now_s=10)
        findings.decide(connection, str(records[1].id), "reject", reviewer="lee", now_s=11)
        findings.undo(connection, reviewer="kim", now_s=12)
    return store


def test_decisions_are_told_in_the_trail(decided: Store) -> None:
    with decided.read() as connection:
        assert verified(connection).problem is None
        told = [(row["actor"], row["action"]) for row in audit.rows(connection)]
    assert told == [("kim", "decide"), ("lee", "decide"), ("kim", "undo")]


@pytest.mark.parametrize(
    ("column", "value"),
    [("event", "x"), ("verdict", "confirm"), ("decided_s", 99), ("reviewer", "kim")],
)
def test_a_decision_changed_behind_the_trail_shows(decided: Store, column: str, value: object) -> None:
    change(decided, update(decisions).where(decisions.c.n == 2).values({column: value}))
    assert (problem(decided) or "").startswith(f"decision 2: {column} is ")


def test_a_decision_taken_out_or_slipped_in_shows(decided: Store) -> None:
    row = {"event": "x", "verdict": "confirm", "undoes": None, "decided_s": 9, "reviewer": "lee"}
    change(decided, decisions.insert().values(row))
    assert problem(decided) == "decision 4: the trail does not tell of it"
    change(decided, delete(decisions).where(decisions.c.n.in_([2, 4])))
    assert problem(decided) == "decision 2: missing; row 2 of the trail tells of it"


def test_decisions_past_their_time_go_with_their_rows(decided: Store) -> None:
    with decided.write() as connection:
        connection.execute(delete(decisions).where(decisions.c.decided_s < 11, decisions.c.n == 0))
        audit.cut(connection, before_s=12, now_s=20)
    assert problem(decided) is None, "decisions that outlive their rows are no defect"


def chained_anew(store: Store) -> None:
    """Seal every row again, as somebody would who has the database's password and has read audit.py."""
    with store.write() as connection:
        last = audit.anchor(connection)
        for row in list(audit.rows(connection)):
            sealed = {**row, "n": last.n + 1, "previous": last.hash}
            sealed["hash"] = audit._hash(sealed)
            connection.execute(delete(trail).where(trail.c.n == row["n"]))
            connection.execute(trail.insert().values(sealed))
            last = audit.Link(sealed["n"], sealed["hash"])
        head = update(audit_ends).where(audit_ends.c.part == "head")
        connection.execute(head.values(n=last.n, hash=last.hash))


def taken_back(store: Store) -> None:
    change(store, delete(trail).where(trail.c.n == 3))
    change(store, delete(decisions).where(decisions.c.n == 3))


def told_otherwise(store: Store) -> None:
    with store.read() as connection:
        said = connection.execute(select(trail.c.detail).where(trail.c.n == 2)).scalar_one()
    change(store, update(trail).where(trail.c.n == 2).values(detail=said.replace("reject", "confirm")))
    change(store, update(decisions).where(decisions.c.n == 2).values(verdict="confirm"))


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        pytest.param(taken_back, "row 3: not the hash that was noted", id="the last deed taken back"),
        pytest.param(told_otherwise, "row 3: not the hash that was noted", id="a decision told otherwise"),
    ],
)
def test_who_seals_the_chain_anew_is_found_by_a_head_that_was_noted(
    decided: Store, attack: Callable[[Store], None], said: str
) -> None:
    with decided.read() as connection:
        noted = audit.head(connection)
    write(decided, 2)
    attack(decided)
    assert problem(decided) is not None
    chained_anew(decided)
    assert problem(decided) is None, "a chain alone cannot show it"
    assert (problem(decided, noted=[noted]) or "").startswith(said)


def test_a_beginning_taken_off_without_a_row_that_says_so_shows(store: Store) -> None:
    write(store, 5)
    with store.read() as connection:
        third = connection.execute(select(trail.c.n, trail.c.hash).where(trail.c.n == 3)).one()
    change(store, delete(trail).where(trail.c.n <= 3))
    anchor = update(audit_ends).where(audit_ends.c.part == "anchor")
    change(store, anchor.values(n=third.n, hash=third.hash))
    assert problem(store) == "rows up to 3 are missing, and no row tells that they were cut off"


def test_heads_are_found_in_a_log(decided: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = [1_800_000_000.0]
    sweeper = Sweeper(decided, ClipFolder(tmp_path / "clips"), Retention(), clock=lambda: clock[0])
    caplog.set_level("INFO")
    for step_s in (0, 600, 3600, 3600):  # not at every sweep, and not where nothing was done
        clock[0] += step_s
        assert sweeper.once()
        if step_s == 600:
            write(decided, 1, at_s=int(clock[0]))
    lines = [text for text in caplog.messages if text.startswith("audit head ")]
    assert len(lines) == len(set(lines)) == 2
    (tmp_path / "log").write_text("\n".join(caplog.messages))
    assert {f"audit head {link.n}:{link.hash}" for link in _links(tmp_path / "log")} == set(lines)
    assert problem(decided, noted=_links(tmp_path / "log")) is None
    (tmp_path / "log").write_text("nothing")
    with pytest.raises(StoreError, match="no NUMBER:HASH in it"):
        _links(tmp_path / "log")


def test_the_command_says_whether_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "collector.toml"
    config.write_text('[store]\ndatabase = "sqlite:///collector.db"\n')
    with pytest.raises(StoreError, match="no such store"):
        run(config)
    store = Store(f"sqlite:///{tmp_path / 'collector.db'}")
    store.migrate()
    write(store, 3)
    assert run(config) == 0
    holds, head = capsys.readouterr().out.splitlines()
    assert holds == "3 rows hold"
    assert run(config, head=head.removeprefix("head ")) == 0
    with pytest.raises(StoreError, match="NUMBER:HASH"):
        run(config, head="3")
    log = tmp_path / "log"
    log.write_text(f"audit {head}\naudit head 2:{'0' * 64}\n")
    capsys.readouterr()
    assert run(config, heads=log) == 1
    assert "row 2: not the hash that was noted as the head" in capsys.readouterr().out
    log.write_text(f"audit {head}\n")
    assert run(config, heads=log) == 0
    assert "1 noted heads compared" in capsys.readouterr().out
    change(store, update(trail).where(trail.c.n == 2).values(actor="lee"))
    capsys.readouterr()
    assert run(config) == 1
    assert capsys.readouterr().out == "BROKEN after 1 rows: row 2: its content is not what was written\n"
    store.close()
