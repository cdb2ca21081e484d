"""`nearmiss run` by signal states that come as messages while the street is watched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.embedded import start_broker
from broker.wire import Event, Status
from calibration.plane import plane_of
from calibration.site import load_site
from edge.frame import Frame
from edge.outbox import Outbox
from edge.signals.sources import sources_of
from tests.edge.city import sender_of, watched_to_its_end
from tests.edge.test_node import NODE, RATE_HZ, SITE, DrawnStreet

TOPIC = "city/5th/signals"
FEEDS = {
    "plain": f'[signal_feed]\ntopic = "{TOPIC}"\n',
    "spat": f'[signal_feed]\ntopic = "{TOPIC}"\nformat = "spat"\n'
    '[[spat_groups]]\nsignal_group = "N"\nspat_group = 2\n',
}
# SPaT's numbers of these states.
PHASES = {"red": 3, "green": 6}


class LiveStreet(DrawnStreet):
    """The same car, at the pace of the clock; ``at_frame`` is called before each frame."""

    def __init__(self, *arguments: Any, at_frame: Callable[[int], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._at_frame = at_frame

    def __iter__(self) -> Iterator[Frame]:
        began = time.time()
        for index in range(self._frames):
            captured = began + index / RATE_HZ
            time.sleep(max(0.0, captured - time.time()))
            self._at_frame(index)
            yield Frame(index, captured, 0.01, np.zeros((480, 640, 3), np.uint8))


def message(form: str, state: str, since: float) -> bytes:
    if form == "plain":
        return json.dumps({"group": "N", "state": state, "time": since}).encode()
    now = datetime.now(UTC)
    minute = int((now - datetime(now.year, 1, 1, tzinfo=UTC)).total_seconds() // 60)
    movement = {"signalGroup": 2, "state-time-speed": [{"eventState": PHASES[state]}]}
    intersection = {
        "id": {"id": 12101},
        "revision": 1,
        "status": "0000",
        "moy": minute,
        "timeStamp": now.second * 1000 + now.microsecond // 1000,
        "states": [movement],
    }
    return json.dumps({"intersections": [intersection]}).encode()


@dataclass(frozen=True)
class Watched:
    """What a node left in its outbox, and the statuses it sent."""

    events: list[Event]
    statuses: list[Status]


def watched(folder: Path, form: str, states: Callable[[int], str | None], *, file: str = "") -> Watched:
    """Run a node for some seconds while a sender says ``states(frame)`` (None: nothing) before each frame."""
    statuses: list[Status] = []
    (folder / "site.toml").write_text(SITE + FEEDS[form])
    began = time.time()
    signals = None
    if file:
        signals = folder / "signals.csv"
        signals.write_text(f"time,signal_group,state\n{began - 60},N,{file}\n")
    with start_broker() as broker, Outbox(folder / "outbox.db") as outbox:
        (folder / "node.toml").write_text(NODE.format(port=broker.port))
        sender = sender_of(broker.host, broker.port, statuses)

        def say(index: int) -> None:
            state = states(index)
            if state is not None:
                sender.publish(TOPIC, message(form, state, began))
            sender.step(0.01)

        site = load_site(folder / "site.toml")
        plane = plane_of(site)
        assert plane is not None
        told = sources_of(site, signals, start_time=began, lamps=False, now=time.time)
        street = LiveStreet(plane, seconds=4.5, at_frame=say)
        events = watched_to_its_end(
            folder, street, told, site=site, plane=plane, outbox=outbox, sender=sender, statuses=statuses
        )
    return Watched(events, statuses)


@pytest.mark.broker
@pytest.mark.parametrize("form", ["plain", "spat"])
def test_a_red_light_entry_is_judged_by_messages(tmp_path: Path, form: str) -> None:
    found = watched(tmp_path, form, lambda _index: "red")
    [event] = found.events
    assert (event.rule, event.place, event.outcome) == ("red_light_entry", "N", "occurred")
    assert event.signal is not None
    assert (event.signal.state, event.signal.source) == ("red", "mqtt" if form == "plain" else "spat")
    last = found.statuses[-1]
    assert (last.signal_feed, last.signals_disagree) == ("connected", ())


@pytest.mark.broker
def test_without_a_message_nothing_is_judged_by_the_signal(tmp_path: Path) -> None:
    assert watched(tmp_path, "plain", lambda _index: None).events == []


@pytest.mark.broker
def test_two_sources_that_disagree_are_told_and_nothing_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.signals.agreement.EVERY_S", 1.0)  # else half a minute
    monkeypatch.setattr("edge.publish.STATUS_EVERY_S", 0.5)
    found = watched(tmp_path, "plain", lambda _index: "green", file="red")
    assert found.events == []
    told = [status for status in found.statuses if status.signals_disagree]
    assert told
    assert {(status.state, status.signals_disagree) for status in told[:-1]} == {("degraded", ("N",))}


@pytest.mark.broker
def test_two_sources_that_agree_are_not_degraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.signals.agreement.EVERY_S", 1.0)
    monkeypatch.setattr("edge.publish.STATUS_EVERY_S", 0.5)
    found = watched(tmp_path, "plain", lambda _index: "red", file="red")
    assert [event.outcome for event in found.events] == ["occurred"]
    assert found.statuses[-1].signals_disagree == ()
    assert {status.state for status in found.statuses if status.signal_feed == "connected"} <= {
        "starting",
        "running",
        "stopped",
    }
