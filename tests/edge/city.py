"""A node that watches a street to its end while a city sends signal states over a broker."""

from __future__ import annotations

from pathlib import Path

from broker.mqtt import Session, wait_until
from broker.wire import Event, Status
from calibration.plane import Plane
from calibration.site import Site
from edge.config import load_node
from edge.node import Node, Outcome
from edge.opening import Inputs
from edge.outbox import Outbox
from edge.signals.sources import Sources
from tests.edge.test_node import DrawnStreet


def sender_of(host: str, port: int, statuses: list[Status]) -> Session:
    """Connect who sends the states; what the node says of itself goes to ``statuses``."""
    sender = Session(
        host=host,
        port=port,
        client_id="city",
        subscriptions=["nearmiss/v1/main-5th/cam-n/status"],
        on_message=lambda _topic, payload: statuses.append(Status.decode(payload)),
    )
    assert wait_until(sender, lambda: sender.connected, timeout_s=20)
    return sender


def watched_to_its_end(
    folder: Path,
    street: DrawnStreet,
    told: Sources,
    *,
    site: Site,
    plane: Plane,
    outbox: Outbox,
    sender: Session,
    statuses: list[Status],
) -> list[Event]:
    """Run the node of a folder until its street ends; return the events in its outbox."""
    inputs = Inputs(
        site=site,
        plane=plane,
        signals=told.signals,
        signals_given=told.any,
        source=street,  # type: ignore[arg-type]  # stands in for a camera
        detector=street,
        mode="none",
        threads=1,
        lamps=told.lamps,
        feed=told.feed,
        checked=told.checked,
    )
    node = Node(load_node(folder / "node.toml"), inputs, outbox)
    node._wait_for_receipts = lambda: 0  # type: ignore[method-assign]  # nobody collects here
    assert node.run() is Outcome.DONE
    wait_until(sender, lambda: bool(statuses) and statuses[-1].state == "stopped", timeout_s=5)
    events = [Event.decode(row.payload) for row in outbox.take(float("inf"), 100) if row.kind == "event"]
    sender.close()
    return events
