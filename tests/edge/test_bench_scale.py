"""The arithmetic of scale: a burst that fits makes nobody wait, one that does not queues by what is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.bench.scale import Basis, Street, breaks, burst, load

QUIET = Street(events_a_day=0.0)
BASIS = Basis(
    collector_per_s=1000.0,
    broker_per_s=5000.0,
    event_bytes=400,
    counts_bytes=1800,
    status_bytes=600,
    sqlite_row_bytes=1000.0,
    postgresql_row_bytes=1000.0,
    delete_per_s=1e5,
    drop_s=0.01,
    connection_kib=2.0,
)


def test_what_fits_waits_for_nobody() -> None:
    assert burst(100, Street(), 1000.0) == (0.0, 0.0)


def test_counts_of_all_cameras_in_45_seconds_queue_by_what_is_too_much() -> None:
    # 27,000 statuses in 30 s are 900 a second; 27,000 counts within 45 s are 600 more: 500 too many.
    longest_s, queue = burst(27_000, QUIET, 1000.0)
    assert queue == pytest.approx(22_500, rel=0.001)
    assert longest_s == pytest.approx(22.5, rel=0.001)


def test_an_operator_decides_what_the_hours_hold() -> None:
    street = replace(Street(), events_a_day=10.0, decision_s=20.0, working_s=2000.0)
    assert breaks(BASIS, street)["one operator"] == 10.0
    assert load(30, street, BASIS)["operators, if all is reviewed"] == pytest.approx(3.0)
    assert load(30, street, BASIS)["event rows kept, millions"] == pytest.approx(30 * 10 * 90 / 1e6)
