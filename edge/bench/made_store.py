"""A made store of any size: events, decisions and exposure of many sites, the same for the same seed.

Each site has four approaches, four crosswalks and the junction between them. Its events fill the 90 days that
rows are kept; what is older stands as monthly aggregates, back to a year. Whether an event is confirmed
depends on how far it is beyond its rule's threshold, as with real detectors, so that there is something to
learn from the decisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Table, func, select, text

from broker.collector.severity import ranks
from broker.collector.store import Store
from broker.collector.tables import counts, decisions, events, retired

DAY_S = 86_400
ROW_DAYS, COUNT_DAYS, YEAR_DAYS = 90, 180, 365
UNTIL = datetime(2026, 10, 9, tzinfo=UTC)
CHUNK = 20_000
SOFTWARE = "nearmiss 0.1.0"
APPROACHES = ("N", "E", "S", "W")
CROSSWALKS = ("ped-n", "ped-e", "ped-s", "ped-w")
BUSY = (0.34, 0.28, 0.22, 0.16)  # how traffic spreads over the four


@dataclass(frozen=True)
class _Made:
    """How one rule's events are made: its share, where, who, its telling measure and how it is judged."""

    rule: str
    share: float
    places: Sequence[str]
    road_users: Mapping[str, float]
    measure: str
    mean: float
    # The confirmed share falls along the measure from ``sure`` to ``unsure`` around ``turns_at``.
    turns_at: float
    confirmed_beyond: bool


RULES = (
    _Made("red_light_entry", 0.30, APPROACHES, _CARS := {"car": 0.86, "truck": 0.08, "bicycle": 0.06},
          "into_red_s", 1.1, 0.4, True),
    _Made("right_on_red_without_stop", 0.12, APPROACHES, _CARS, "min_speed_mps", 2.4, 1.0, True),
    _Made("amber_entry", 0.16, APPROACHES, _CARS, "into_amber_s", 1.4, 0.3, True),
    _Made("pedestrian_against_signal", 0.18, CROSSWALKS, _WALKERS := {"pedestrian": 1.0},
          "into_dont_walk_s", 6.0, 1.0, True),
    _Made("crossing_outside_crosswalk", 0.08, CROSSWALKS, _WALKERS, "outside_m", 2.2, 0.8, True),
    _Made("failure_to_yield", 0.06, CROSSWALKS, {"car": 0.9, "truck": 0.1}, "gap_s", 1.6, 2.2, False),
    _Made("near_miss", 0.10, (*CROSSWALKS, "junction"), {"pedestrian": 0.6, "bicycle": 0.25, "car": 0.15},
          "pet_s", 0.9, 1.2, False),
)  # fmt: skip


def fill(
    store: Store,
    *,
    events_wanted: int = 1_000_000,
    sites: int = 10,
    seed: int = 1,
    until: datetime = UNTIL,
    counted: int = 2,
) -> int:
    """Fill an empty store that is migrated and return how many events it holds.

    Args:
        until: where the made street ends; its last quarter of a year closed a few days before by default.
        counted: how many sites also get exposure, some 180,000 rows each.
    """
    chance = np.random.default_rng(seed)
    names = [f"site-{number:02d}" for number in range(1, sites + 1)]
    made, last = 0, 0
    until_s = int(until.timestamp())
    while made < events_wanted:
        size = min(CHUNK, events_wanted - made)
        rows = _events(chance, names, until_s, made, size)
        decided = _decisions(chance, rows, last)
        _load(store, events, _standing(rows, decided))
        last += len(decided)
        _load(store, decisions, decided)
        made += size
    _load(store, retired, list(_retired(chance, names, until_s, events_wanted / sites / ROW_DAYS)))
    for name in names[:counted]:
        _load(store, counts, list(_counts(chance, name, until_s)))
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            behind = select(func.setval(text("pg_get_serial_sequence('decisions', 'n')"), last or 1))
            connection.execute(behind)
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What autovacuum does to a store that has stood for a while.
        vacuum = connection.dialect.name == "postgresql"
        connection.exec_driver_sql("VACUUM ANALYZE" if vacuum else "ANALYZE")
    return made


def _events(
    chance: np.random.Generator, sites: Sequence[str], until_s: int, first: int, size: int
) -> list[dict[str, Any]]:
    which = chance.choice(len(RULES), size, p=[rule.share for rule in RULES])
    site = chance.integers(len(sites), size=size)
    time_s = _times(chance, until_s - ROW_DAYS * DAY_S, until_s, size)
    spread, judged = chance.random((3, size)), chance.gamma(2.0, 0.5, size)
    ids = chance.bytes(16 * size).hex()
    rows = []
    for n in range(size):
        made = RULES[which[n]]
        value = round(float(made.mean * judged[n]), 1)
        user = _pick(list(made.road_users), list(made.road_users.values()), spread[0, n])
        place = _pick(made.places, BUSY if len(made.places) == 4 else None, spread[1, n])
        crossing = place in CROSSWALKS
        rows.append(
            {
                "id": _uuid4(ids[32 * n : 32 * n + 32]),
                "site": sites[site[n]],
                "node": "cam-1",
                "seq": first + n + 1,
                "rule": made.rule,
                "outcome": "occurred" if spread[2, n] > 0.05 else "undecidable",
                "time_s": int(time_s[n]),
                "time_sigma_s": 0.1,
                "place": place,
                "road_user": user,
                "road_user2": "car" if made.rule == "near_miss" and user != "car" else None,
                "signal_group": place if place != "junction" else None,
                "signal_state": "red" if place != "junction" else None,
                "signal_source": "controller" if place != "junction" else None,
                "measures": {made.measure: [value, 0.1], "speed_mps": [4.5 if crossing else 11.1, 0.6]},
                "clip": None,
                "detector": "deimv2-femto",
                "software": SOFTWARE,
                "caused_by": None,
            }
        )
    return rows


def _decisions(
    chance: np.random.Generator, rows: Sequence[Mapping[str, Any]], last: int
) -> list[dict[str, Any]]:
    """Decide nine of ten, one in twenty by two people; one in fifty is decided, taken back, decided again."""
    dice = chance.random((4, len(rows)))
    decided: list[dict[str, Any]] = []

    def decide(event: str, verdict: str, at_s: int, undoes: int | None = None) -> int:
        n = last + len(decided) + 1
        row = {"n": n, "event": event, "verdict": verdict, "undoes": undoes, "decided_s": at_s}
        took = {"purpose": "first", "took_s": None if undoes else 4 + n * 7919 % 37}
        decided.append({**row, "reviewer": "made", **took})
        return n

    by_rule = {made.rule: made for made in RULES}
    for n, row in enumerate(rows):
        if dice[0, n] > 0.9:
            continue
        made = by_rule[row["rule"]]
        beyond = row["measures"][made.measure][0] > made.turns_at
        sure = 0.93 if beyond == made.confirmed_beyond else 0.3
        verdict = "confirm" if dice[1, n] < sure else "reject" if dice[2, n] < 0.9 else "unclear"
        at_s = row["time_s"] + 3600 + int(dice[2, n] * 60 * 3600)
        if dice[3, n] < 0.02:
            first = decide(row["id"], "unclear", at_s)
            decide(row["id"], "undo", at_s + 5, first)
        decide(row["id"], verdict, at_s + 9)
        if dice[3, n] > 0.95:  # looked at by two
            decide(row["id"], verdict, at_s + 900)
            decided[-1] |= {"purpose": "second", "reviewer": "made-2"}
    return decided


def _standing(
    rows: Sequence[dict[str, Any]], decided: Sequence[Mapping[str, Any]]
) -> Sequence[dict[str, Any]]:
    """Give the events what the queue is ordered by and what stands of their decisions."""
    taken_back = {each["undoes"] for each in decided}
    stands = {
        each["event"]: each["verdict"]
        for each in decided
        if each["verdict"] != "undo" and each["n"] not in taken_back
    }
    for row in rows:
        verdict = stands.get(row["id"])
        measures = {name: SimpleNamespace(value=v, sigma=s) for name, (v, s) in row["measures"].items()}
        told: Any = SimpleNamespace(rule=row["rule"], outcome=row["outcome"], measures=measures)
        row |= {**ranks(told), "second": 0, "verdict": verdict}
        row |= {"tab": verdict or "open", "wants": "" if verdict else "first"}
    return rows


def _retired(
    chance: np.random.Generator, sites: Sequence[str], until_s: int, a_day: float
) -> Iterator[dict[str, Any]]:
    """Yield what is left of the events older than their rows: how many of each, by month."""
    ends_s = until_s - ROW_DAYS * DAY_S
    month = datetime.fromtimestamp(until_s - YEAR_DAYS * DAY_S, UTC).replace(
        day=1, hour=0, minute=0, second=0
    )
    while month.timestamp() < ends_s:
        following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        days = (min(following.timestamp(), ends_s) - month.timestamp()) / DAY_S
        for site in sites:
            for made in RULES:
                for place in made.places:
                    for user, share in made.road_users.items():
                        of_these = a_day * days * made.share * share / len(made.places)
                        for verdict, part in (("confirm", 0.7), ("reject", 0.18), ("undecided", 0.12)):
                            yield {
                                "site": site,
                                "place": place,
                                "rule": made.rule,
                                "road_user": user,
                                "month_s": int(month.timestamp()),
                                "verdict": verdict,
                                "day_part": "",
                                "count": int(chance.poisson(of_these * part)),
                            }
        month = following


def _counts(chance: np.random.Generator, site: str, until_s: int) -> Iterator[dict[str, Any]]:
    """Yield exposure of the daytime's quarters of an hour of the days that counts are kept."""
    counted = [(place, user) for place in APPROACHES for user in _CARS]
    counted += [(place, "pedestrian") for place in CROSSWALKS]
    usual = np.array([40 * BUSY[APPROACHES.index(place)] * _CARS[user] * 3 for place, user in counted[:12]])
    mean = np.concatenate([usual, np.array([12.0 * share for share in BUSY])])
    seq = 10_000_000
    for day in range(COUNT_DAYS):
        start_s = until_s - (COUNT_DAYS - day) * DAY_S + 6 * 3600
        found = chance.poisson(mean, (64, len(counted)))
        for quarter in range(64):
            seq += 1
            for (place, user), count in zip(counted, found[quarter].tolist(), strict=True):
                yield {
                    "site": site,
                    "node": "cam-1",
                    "start_s": start_s + 900 * quarter,
                    "seq": seq,
                    "place": place,
                    "road_user": user,
                    "count": count,
                }


def _times(chance: np.random.Generator, start_s: int, end_s: int, size: int) -> NDArray[np.int64]:
    """Return starts of bins of five minutes, few of them at night."""
    day = chance.integers(start_s // DAY_S, end_s // DAY_S, size)
    hour = np.clip(chance.normal(14.0, 4.5, size), 0.0, 23.99)
    return np.asarray((day * DAY_S + hour * 3600) // 300 * 300, dtype=np.int64)


def _pick(names: Sequence[str], shares: Sequence[float] | None, at: float) -> str:
    if shares is None:
        return names[int(at * len(names))]
    for name, share in zip(names, shares, strict=True):
        at -= share
        if at < 0:
            return name
    return names[-1]


def _uuid4(hexes: str) -> str:
    variant = "89ab"[int(hexes[16], 16) % 4]
    return f"{hexes[:8]}-{hexes[8:12]}-4{hexes[13:16]}-{variant}{hexes[17:20]}-{hexes[20:]}"


def _load(store: Store, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows as fast as the database takes them, by its own driver."""
    if not rows:
        return
    columns = list(rows[0])
    names = ", ".join(f'"{name}"' for name in columns)
    values = [[_stored(row[name]) for name in columns] for row in rows]
    with store.write() as connection:
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "postgresql":
            with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
                for row in values:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(columns))
            driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value
