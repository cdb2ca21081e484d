"""Two sources of one signal group in a running node: clocks corrected, contradictions told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from broker.embedded import start_broker
from broker.wire import Event, Status
from calibration.plane import plane_of
from calibration.site import load_site
from edge.frame import Frame
from edge.outbox import Outbox
from edge.scene import State
from edge.signals.sources import sources_of
from models.detections import Detections
from tests.edge.city import sender_of, watched_to_its_end
from tests.edge.test_node import NODE, RATE_HZ, SITE, DrawnStreet
from tests.lamps.heads import vertical
from tests.lamps.street import Street

TOPIC = "city/5th/signals"
# The second source's clock is behind by this. Not near half the cycle below, which looks like itself moved.
BEHIND_S = 0.7
CYCLE: tuple[tuple[float, State], ...] = ((0.8, "green"), (0.8, "amber"), (1.0, "red"))
# It begins red for long enough to be sure of, and stays red after three cycles; then the second says green.
BEGINS_S, STEADY_S, LIES_S, END_S = 2.0, 9.8, 11.6, 15.6
# The car sets off so that it crosses the line 1.7 s later, once while both say red, once after that.
SETS_OFF_S = (9.2, 12.2)
CODES: dict[State, int] = {"green": 1, "amber": 8, "red": 10}
PHASES: dict[State, int] = {"red": 3, "green": 6, "amber": 8}


def changes() -> list[tuple[float, State]]:
    """Return what the lamps show from when on, seconds after the beginning."""
    found: list[tuple[float, State]] = [(0.0, "red")]
    at = BEGINS_S
    while at < STEADY_S - 0.01:
        for seconds, state in CYCLE:
            found.append((at, state))
            at += seconds
    return found


def shown(time_s: float) -> State:
    return [state for at, state in changes() if at <= time_s][-1]


class Crossing(DrawnStreet):
    """A street at the pace of the clock, with a signal head in its corner and a car that comes twice."""

    def __init__(
        self, *arguments: object, began: float, at_frame: Callable[[float], None], **options: object
    ) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]  # as DrawnStreet takes them
        self._began, self._at_frame = began, at_frame
        self._corner = Street(vertical())
        # Houses that stand still, so that it shows that the camera does.
        houses = np.random.default_rng(1).integers(0, 200, (24, 32, 3)).astype(np.uint8)
        self._houses = np.kron(houses, np.ones((20, 20, 1), np.uint8))

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            after_s = index / RATE_HZ
            time.sleep(max(0.0, self._began + after_s - time.time()))
            self._at_frame(after_s)
            image = self._houses.copy()
            image[:112, :128] = self._corner.picture({shown(after_s): 0}, index, after_s)
            yield Frame(index, self._began + after_s, 0.01, image)

    def detect(self, image: object) -> Detections:
        frame = self._seen + 1
        runs = [frame - round(start * RATE_HZ) for start in SETS_OFF_S if frame >= start * RATE_HZ]
        if not runs:
            self._seen = frame
            return Detections.none()
        self._seen = runs[-1] - 1
        found = super().detect(image)
        self._seen = frame
        return found


@dataclass(frozen=True)
class Told:
    events: list[Event]
    statuses: list[Status]
    began: float


def log_of(began: float) -> str:
    """A controller's log of all that is to come; its clock is the reference here."""
    rows = ["Timestamp,Event Code,Event Parameter"]
    for at, state in [(-3.0, "amber"), *changes(), (END_S + 30, "green")]:
        moment = datetime.fromtimestamp(began + at, UTC)
        rows.append(f"{moment.isoformat(timespec='milliseconds')},{CODES[state]},2")
    return "\n".join(rows) + "\n"


def plain(state: State, since: float) -> bytes:
    return json.dumps({"group": "N", "state": state, "time": since - BEHIND_S, "sigma_s": 0.02}).encode()


def spat(state: State) -> bytes:
    now = datetime.now(UTC) - timedelta(seconds=BEHIND_S)
    minute = int((now - datetime(now.year, 1, 1, tzinfo=UTC)).total_seconds() // 60)
    movement = {"signalGroup": 2, "state-time-speed": [{"eventState": PHASES[state]}]}
    intersection = {
        "id": {"id": 12101}, "revision": 1, "status": "0000", "moy": minute,
        "timeStamp": now.second * 1000 + now.microsecond // 1000, "states": [movement],
    }  # fmt: skip
    return json.dumps({"intersections": [intersection]}).encode()


LAMP = vertical().region
SITES = {
    "lamp and feed": f'[signal_feed]\ntopic = "{TOPIC}"\n[[signal_heads]]\nsignal_group = "N"\nread = true\n'
    f"region_px = [{LAMP[0]:.1f}, {LAMP[1]:.1f}, {LAMP[2]:.1f}, {LAMP[3]:.1f}]\n",
    "log and SPaT": f'[signal_feed]\ntopic = "{TOPIC}"\nformat = "spat"\n'
    '[[spat_groups]]\nsignal_group = "N"\nspat_group = 2\n'
    '[[controller_phases]]\nsignal_group = "N"\nphase = 2\n[controller]\nclock_sigma_s = 0.02\n',
}


def watched(folder: Path, pair: str) -> Told:
    """Run a node on a street with two sources of its only group."""
    (folder / "site.toml").write_text(SITE + SITES[pair])
    statuses: list[Status] = []
    lamps = pair == "lamp and feed"
    with start_broker() as broker, Outbox(folder / "outbox.db") as outbox:
        (folder / "node.toml").write_text(NODE.format(port=broker.port))
        sender = sender_of(broker.host, broker.port, statuses)
        began = time.time() + 1.0
        log = folder / "log.csv"
        log.write_text(log_of(began))

        def say(after_s: float) -> None:
            since, state = [each for each in changes() if each[0] <= after_s][-1]
            if after_s >= LIES_S:
                since, state = LIES_S, "green"
            sender.publish(TOPIC, plain(state, began + since) if lamps else spat(state))
            sender.step(0.01)

        site = load_site(folder / "site.toml")
        plane = plane_of(site)
        assert plane is not None
        told = sources_of(site, None if lamps else log, start_time=began, lamps=lamps, now=time.time)
        street = Crossing(plane, seconds=END_S, began=began, at_frame=say)
        events = watched_to_its_end(
            folder, street, told, site=site, plane=plane, outbox=outbox, sender=sender, statuses=statuses
        )
    return Told(events, statuses, began)


@pytest.mark.broker
@pytest.mark.parametrize("pair", SITES)
def test_clocks_are_corrected_and_a_contradiction_judges_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: str
) -> None:
    monkeypatch.setattr("edge.signals.agreement.EVERY_S", 0.5)  # else half a minute
    monkeypatch.setattr("edge.signals.crosscheck.RENEW_S", 0.5)  # else ten seconds
    monkeypatch.setattr("edge.publish.STATUS_EVERY_S", 0.4)
    told = watched(tmp_path, pair)
    [event] = told.events
    assert (event.rule, event.place, event.outcome) == ("red_light_entry", "N", "occurred")
    assert event.signal is not None
    assert event.signal.source in {"lamp and feed": ("lamp", "mqtt"), "log and SPaT": ("controller",)}[pair]
    # While both say the same the node is well, and says by how much it corrects the second clock.
    clocks = [status.signal_clocks for status in told.statuses if status.signal_clocks]
    assert {each.group for each in clocks[-1]} == {"N"}
    assert all(abs(each.offset_s - BEHIND_S) <= 0.11 for status in clocks for each in status)
    before = [status for status in told.statuses if not status.signals_disagree and status.signal_clocks]
    assert {status.state for status in before} <= {"running", "stopped"}
    # From when they contradict each other on it is degraded, and names the group.
    disagreed = [status for status in told.statuses if status.signals_disagree]
    assert disagreed and {status.signals_disagree for status in disagreed} == {("N",)}
    assert {status.state for status in disagreed} <= {"degraded", "stopped"}
