"""The sheets' machinery: as many true as false claims, nothing of the truth in them, and the scorer."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edge.demo.movement import Walk
from edge.demo.story import Actor, actors
from tests.drawing import claims
from tests.drawing.claims import Claim, _moments, _of, plan
from tests.drawing.score import score, wilson


def named(name: str) -> Actor:
    return next(actor for actor in actors() if actor.name == name)


def test_a_claim_is_true_where_the_lamps_make_it_so() -> None:
    moments = _moments(named("car over the line on amber"))
    found = {
        claim.recording: claim.true
        for recording in range(3)
        for claim in _of(recording, actors(), moments)
        if claim.actor.name == "car over the line on amber"
    }
    assert found == {recording: plan(recording).state("EW", moments[0].time) == "red" for recording in found}
    assert set(found.values()) == {True, False}


def test_half_of_the_claims_are_true_and_their_order_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    walker = next(actor for actor in actors() if isinstance(actor.movement, Walk))
    pool = [
        Claim(0, rule, float(n), "N", walker, None, true)
        for n in range(20)
        for rule in ("red_light_entry", "near_miss")
        for true in (True, False)
    ]
    monkeypatch.setattr(claims, "all_claims", lambda _: pool)
    chosen = claims.chosen(actors(), count=40, seed=1)
    assert [claim.true for claim in chosen].count(True) == 20
    assert chosen != claims.chosen(actors(), count=40, seed=2)
    assert chosen == claims.chosen(actors(), count=40, seed=1)


def form(path: Path, column: str, said: list[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["number", column], *enumerate(said, 1)])
    return path


def test_a_form_is_scored_with_its_interval(tmp_path: Path) -> None:
    truth = form(tmp_path / "truth.csv", "true", ["confirm"] * 5 + ["reject"] * 5)
    said = ["confirm"] * 4 + ["reject"] * 4 + ["confirm", "unclear"]
    found = score(form(tmp_path / "said.csv", "decision", said), truth)
    assert (found.right, found.unclear, found.confirmed_wrongly, found.rejected_wrongly) == (
        7,
        (10,),
        (9,),
        (5,),
    )
    assert found.interval == pytest.approx((0.397, 0.892), abs=0.001)
    assert wilson(40, 40)[0] == pytest.approx(0.912, abs=0.001)


def test_every_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    truth = form(tmp_path / "truth.csv", "true", ["confirm"] * 3)
    with pytest.raises(ValueError, match="'perhaps' is not confirm") as told:
        score(form(tmp_path / "said.csv", "decision", ["perhaps", ""]), truth)
    assert len(str(told.value).splitlines()) == 3
