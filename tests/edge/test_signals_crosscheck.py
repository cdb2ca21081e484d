"""Two sources of one group: clocks corrected, disagreement made visible."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.site import Site
from edge.scene import SignalReading, SourceKind, State
from edge.signals.agreement import Agreement
from edge.signals.crosscheck import NO_FIT, CrossChecked, fit_clocks
from edge.signals.history import LiveHistory, Shown, SignalHistory, unknown
from edge.signals.sources import checks, sentences, sources_of

STEPS: list[tuple[float, State]] = [(0.0, "green"), (30.0, "amber"), (34.0, "red")]


def cycles(
    count: int,
    *,
    source: SourceKind,
    offset_s: float = 0.0,
    drift: float = 0.0,
    sigma_s: float = 0.05,
    seed: int = 0,
    lengths: tuple[float, float] = (60.0, 110.0),
    skip: frozenset[int] = frozenset(),
) -> list[SignalReading]:
    """Changes of an actuated signal, the same streets for all, seen by a clock of its own."""
    street, clock = random.Random(7), random.Random(seed)
    changes, start = [], 1000.0
    for cycle in range(count):
        stretch = street.uniform(0.6, 1.0)
        for at_s, state in STEPS:
            time = start + at_s * stretch
            seen = (time - 1000.0) * (1 + drift) + 1000.0 + offset_s + clock.gauss(0, sigma_s)
            if cycle not in skip:
                changes.append(SignalReading("N", state, seen, sigma_s, source))
        start += street.uniform(*lengths)
    return changes


LAMP = cycles(40, source="lamp", seed=1)


@settings(max_examples=40)
@given(st.floats(-50, 50), st.floats(-200e-6, 200e-6), st.integers(0, 1000))
def test_offset_and_drift_are_found(offset_s: float, drift: float, seed: int) -> None:
    log = cycles(40, source="controller", offset_s=offset_s, drift=drift, seed=seed)
    fit = fit_clocks(LAMP, log, at=2500.0)
    for change, true in zip(log, LAMP, strict=True):
        assert change.since is not None and true.since is not None
        assert fit.to_first(change.since) == pytest.approx(true.since, abs=0.35)
        assert fit.to_second(fit.to_first(change.since)) == pytest.approx(change.since, abs=1e-6)
    assert fit.pairs >= 100 and 0.02 < fit.sigma_s < 0.15
    assert fit.offset_s + fit.drift * 0 == pytest.approx(-(offset_s + drift * 1500.0), abs=0.1)


def test_changes_only_one_of_them_saw_count_for_nothing() -> None:
    log = cycles(40, source="controller", offset_s=3.0, skip=frozenset(range(10, 22)))
    strays = [SignalReading("N", "red", 1000.0 + 37.0 * i, 0.05, "controller") for i in range(20)]
    fit = fit_clocks(LAMP, sorted([*log, *strays], key=lambda each: each.since or 0.0), at=2500.0)
    assert fit.offset_s == pytest.approx(-3.0, abs=0.1)


def test_a_fixed_cycle_has_many_offsets_and_the_smallest_counts() -> None:
    rows = [SignalReading("N", s, 40.0 * c + t * 0.9, 0.05, "plan") for c in range(30) for t, s in STEPS]
    moved = [SignalReading("N", r.state, (r.since or 0.0) + 2.0, 0.05, "spat") for r in rows]
    assert fit_clocks(rows, moved, at=600.0).offset_s == pytest.approx(-2.0, abs=1e-6)


def test_two_changes_are_no_proof() -> None:
    assert fit_clocks(LAMP[:2], LAMP[:2], at=0.0) == NO_FIT


def test_sources_that_have_nothing_in_common_are_not_fitted() -> None:
    other = cycles(40, source="controller", lengths=(61.0, 200.0))
    rng = random.Random(5)
    other = [SignalReading("N", r.state, 1000 + rng.uniform(0, 3000), 0.05, "controller") for r in other]
    assert fit_clocks(LAMP, sorted(other, key=lambda each: each.since or 0.0), at=2500.0) == NO_FIT


def test_a_slow_clock_is_corrected_and_the_better_onset_counts() -> None:
    log = cycles(40, source="controller", offset_s=4.0, sigma_s=0.02)
    both = CrossChecked(SignalHistory(LAMP), SignalHistory(log))
    for change in LAMP[10:60]:
        assert change.since is not None
        reading = both.at("N", change.since + 1.0)
        assert reading.state == change.state
        assert reading.since == pytest.approx(change.since, abs=0.25)
    found = [each.state for each in both.changes("N", LAMP[10].since or 0.0, LAMP[40].since or 0.0)]
    assert found == [each.state for each in LAMP[11:41]] or found == [each.state for each in LAMP[11:40]]
    check = both.check("N", 1000.0, 4000.0)
    assert check.sources == ("lamp", "controller") and check.disagreed_s == 0.0
    assert check.agreed_s > 2900.0 and check.fit.offset_s == pytest.approx(-4.0, abs=0.1)


def test_disagreement_beyond_the_error_is_unknown_and_visible() -> None:
    """The controller says green for 20 s in which the lamp is red, as after a wrong phase map."""
    middle = next(each.since for each in LAMP[60:] if each.state == "red")
    assert middle is not None
    log = cycles(40, source="controller")
    wrong = [each for each in log if not middle - 1 < (each.since or 0.0) < middle + 15]
    wrong += [
        SignalReading("N", "green", middle + 1.0, 0.05, "controller"),
        SignalReading("N", "red", middle + 15.0, 0.05, "controller"),
    ]
    both = CrossChecked(SignalHistory(LAMP), SignalHistory(wrong))
    assert both.at("N", middle + 8.0) == unknown("N")
    assert both.at("N", middle + 17.0).state == "red"
    check = both.check("N", middle - 20.0, middle + 20.0)
    assert 12.0 < check.disagreed_s < 18.0
    assert check.last_disagreement == pytest.approx(middle + 15.0, abs=1.0)


def test_where_one_knows_nothing_the_other_is_asked() -> None:
    seen = LiveHistory([*LAMP[:9], Shown((LAMP[8].since or 0.0) + 5, unknown("N", source="lamp"))])
    both = CrossChecked(seen, SignalHistory(cycles(40, source="controller", offset_s=2.0)))
    onset = LAMP[8].since or 0.0
    assert both.at("N", onset + 7.0).source == "controller"
    assert both.at("N", onset + 7.0).since == pytest.approx(onset, abs=0.3)
    assert both.at("S", 1500.0).state == "unknown"


def test_preemption_told_by_one_is_not_overruled_by_the_other() -> None:
    preempted = SignalHistory(
        [*cycles(3, source="controller"), unknown("N", since=5000.0, source="controller")]
    )
    red = SignalHistory([SignalReading("N", "red", 4990.0, 0.05, "lamp")])
    assert CrossChecked(red, preempted).at("N", 5010.0).state == "unknown"
    assert CrossChecked(preempted, red).at("N", 5010.0).state == "unknown"


def test_a_site_with_a_file_and_a_plan_checks_one_against_the_other(tmp_path: Path) -> None:
    changes = [{"at_s": at_s, "state": state} for at_s, state in STEPS]
    site = Site.model_validate_json(
        json.dumps(
            {
                "site": {"id": "main-5th"},
                "crosswalks": [{"id": "c", "signal_group": "N", "polygon": [[0, 0], [1, 0], [1, 1]]}],
                "signal_plan": {
                    "epoch": "2026-01-01T00:00:00Z",
                    "cycle_s": 80.0,
                    "groups": [{"signal_group": "N", "changes": changes}],
                },
            }
        )
    )
    epoch = 1_767_225_600.0
    rows = [f"{80.0 * cycle + at_s + 3.0},N,{state}" for cycle in range(20) for at_s, state in STEPS]
    path = tmp_path / "signals.csv"
    path.write_text("\n".join(["time,signal_group,state", *rows]))
    sources = sources_of(site, path, start_time=epoch, lamps=False)
    [check] = checks(sources.checked, ["N"], epoch + 10, epoch + 1500)
    assert sentences([check]) == [
        f"Signal group N: the clock of plan was corrected by +3.00 s (± 0.01 s; {check.fit.pairs} changes) "
        "to that of file."
    ]
    assert check.sources == ("file", "plan") and check.fit.offset_s == pytest.approx(3.0)
    assert sources.signals.at("N", epoch + 80 * 7 + 3.5) == SignalReading(
        "N", "green", epoch + 80 * 7 + 3.0, 0.0, "file"
    )
    alone = sources_of(site, None, start_time=epoch, lamps=False)
    assert alone.signals.at("N", epoch + 85.0).source == "plan" and alone.checked == ()


def test_a_running_node_says_once_that_its_sources_disagree(caplog: pytest.LogCaptureFixture) -> None:
    red = SignalHistory([SignalReading("N", "red", 0.0, 0.05, "lamp")])
    other = SignalHistory(
        [
            SignalReading("N", "green", 100.0, 0.05, "spat"),
            SignalReading("N", "red", 200.0, 0.05, "spat"),
        ]
    )
    agreement = Agreement([CrossChecked(red, other)], ["N"])
    seen = []
    with caplog.at_level("INFO"):
        for second in range(300):
            agreement.note(float(second))
            seen.append(agreement.disagreeing)
    assert seen[99] == () and seen[190] == ("N",) and seen[299] == ()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
