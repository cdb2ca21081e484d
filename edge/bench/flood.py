"""A flood of events through one broker: nodes that publish, and whoever takes what they publish.

All nodes live in one thread and speak MQTT as bytes, so that the machine is left to the broker and to the
collector that is measured. At most ``window`` messages are on their way at a time.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from broker.topics import Address
from broker.wire import Event, Measure, Receipt, WireSignal
from edge.bench.packets import (
    CONNACK,
    PUBACK,
    PUBLISH,
    Reader,
    connect,
    puback,
    publish,
    published,
    subscribe,
)

SITE = "bench"


@dataclass
class Client:
    """One connection; ``message`` is the last message id given."""

    address: Address
    socket: socket.socket
    reader: Reader = field(default_factory=Reader)
    sent: int = 0
    message: int = 0


def node_address(number: int) -> Address:
    return Address(SITE, f"node-{number}", "event")


def event_payload(node: str, seq: int) -> bytes:
    """Return an event as a node sends it, each with an id of its own."""
    return (
        _PATTERN.replace(b'"seq":1,', b'"seq":%d,' % seq)
        .replace(str(_ID).encode(), str(uuid4()).encode())
        .replace(b'"node-0"', b'"%s"' % node.encode())
    )


_ID = uuid4()
_PATTERN = Event(
    id=_ID,
    seq=1,
    site=SITE,
    node="node-0",
    rule="red_light_entry",
    outcome="occurred",
    time=datetime(2026, 11, 20, 8, 15, tzinfo=UTC),
    time_sigma_s=0.1,
    place="N",
    road_user="car",
    signal=WireSignal(group="N", state="red", source="controller"),
    measures={
        "into_red_s": Measure(value=1.2, sigma=0.1),
        "speed_mps": Measure(value=11.111, sigma=0.556),
    },
    clip=None,
    detector="motion",
    software="nearmiss 0.1.0",
).encode()


def joined(port: int, numbers: Iterable[int]) -> list[Client]:
    """Connect nodes, each subscribed to its own receipts."""
    return [
        _client(port, node_address(number), node_address(number).to("receipt").topic) for number in numbers
    ]


def listener(port: int) -> Client:
    """Connect one that takes every event and does nothing with it: what the broker alone can do."""
    return _client(port, Address(SITE, "listener", "event"), f"nearmiss/v1/{SITE}/+/event")


def _client(port: int, address: Address, topic: str) -> Client:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(connect(f"bench-{address.node}") + subscribe(topic))
    client = Client(address, sock)
    kinds: list[int] = []
    while len(kinds) < 2:
        kinds += [kind for kind, _, _ in client.reader.packets(sock.recv(4096))]
    if kinds[0] != CONNACK:
        raise ConnectionError("the broker refused a node")
    sock.setblocking(False)
    return client


@dataclass
class Flood:
    """Publishes ``total`` events and waits until all have been taken.

    ``bare`` counts what a listener gets; without it, what receipts say.
    """

    clients: list[Client]
    bare: Client | None = None
    window: int = 2000
    taken: int = 0
    sent: int = 0

    def run(self, total: int, *, timeout_s: float) -> float:
        """Return the seconds it took.

        Raises:
            TimeoutError: not all were taken in time.
        """
        begin = time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for client in self.clients if self.bare is None else [*self.clients, self.bare]:
                selector.register(client.socket, selectors.EVENT_READ, client)
            goal, turn, heard = self.taken + total, 0, time.monotonic()
            while self.taken < goal:
                while self.sent < goal and self.sent - self.taken < self.window:
                    turn = self._burst(turn, min(50, goal - self.sent))
                before = self.taken
                for key, _ in selector.select(0.05):
                    self._read(key.data)
                if self.taken > before:
                    heard = time.monotonic()
                elif time.monotonic() - heard > timeout_s:
                    raise TimeoutError(f"{self.taken} of {goal} events were taken")
        return time.perf_counter() - begin

    def _burst(self, turn: int, count: int) -> int:
        client = self.clients[turn % len(self.clients)]
        packets = []
        for _ in range(count):
            client.sent += 1
            client.message = client.message % 65_535 + 1
            packets.append(
                publish(client.address.topic, event_payload(client.address.node, client.sent), client.message)
            )
        _send(client.socket, b"".join(packets))
        self.sent += count
        return turn + 1

    def _read(self, client: Client) -> None:
        try:
            more = client.socket.recv(1 << 20)
        except BlockingIOError:
            return
        if not more:
            raise ConnectionError("the broker hung up")
        replies = []
        for kind, _, body in client.reader.packets(more):
            if kind == PUBLISH:
                message, payload = published(body)
                replies.append(puback(message))
                self.taken += 1 if client is self.bare else len(Receipt.decode(payload).ids)
            elif kind != PUBACK:
                continue
        if replies:
            _send(client.socket, b"".join(replies))


def _send(sock: socket.socket, content: bytes) -> None:
    sock.setblocking(True)
    try:
        sock.sendall(content)
    finally:
        sock.setblocking(False)
