"""A hot path that becomes dearer is told: CPU time beside a yardstick of the same run, never seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from broker.wire import Event
from edge.bench import ratios
from edge.bench.ratios import LIMITS, Ratio, excess
from edge.frame import Frame
from edge.redact import Redactor
from edge.tracks import TracksFile


@pytest.mark.data
def test_a_frame_beside_the_detector_costs_a_fraction_of_an_inference(data: Path, tmp_path: Path) -> None:
    assert excess([ratios.line(tmp_path, data, rounds=1)]) == []


@pytest.mark.data
def test_a_redactor_that_blurs_the_picture_over_and_over_is_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = Redactor.ingest

    def dear(self: Redactor, frame: Frame, *rest: Any) -> Any:
        for _ in range(4):
            cv2.GaussianBlur(frame.image, (61, 61), 20)
        return ingest(self, frame, *rest)

    monkeypatch.setattr(Redactor, "ingest", dear)
    (told,) = excess([ratios.line(tmp_path, data, rounds=1)])
    assert told.startswith("a frame beside the detector: ") and "times bare inference" in told


def test_judging_checking_and_storing_keep_their_price(tmp_path: Path) -> None:
    found = [ratios.judge(tmp_path, rounds=2), ratios.event(rounds=2), ratios.intake(tmp_path, rounds=2)]
    assert {each.name for each in found} == LIMITS.keys() - {"line"}
    assert excess(found) == []


def test_an_event_checked_three_times_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = Event.decode
    monkeypatch.setattr(Event, "decode", lambda payload: [decode(payload) for _ in range(3)])
    (told,) = excess([ratios.event(rounds=2)])
    assert told.startswith("checking an event: ") and "times reading it as JSON" in told


def test_tracks_judged_three_times_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = ratios.judged

    def dear(tracks: TracksFile, *rest: Any) -> Any:
        batches = list(tracks)
        for _ in range(2):
            judged(batches, *rest)
        return judged(batches, *rest)

    monkeypatch.setattr(ratios, "judged", dear)
    (told,) = excess([ratios.judge(tmp_path, rounds=1)])
    assert told.startswith("judging tracks: ")


def test_a_ratio_that_is_no_number_is_told() -> None:
    assert len(excess([Ratio("judge", "judging tracks", "reading them", float("nan"))])) == 1
