"""The benchmark of intake: every event it counts was stored and receipted."""

from __future__ import annotations

import pytest

from broker.embedded import mosquitto_path, start_broker
from broker.wire import Event
from edge.bench.flood import Flood, event_payload, joined, listener
from edge.bench.intake import intake_speed
from edge.bench.packets import PUBLISH, Reader, publish, published
from edge.errors import InputError

pytestmark = pytest.mark.broker


@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_a_short_run_measures_all_it_says() -> None:
    speed = intake_speed(1200, nodes=3, many=20)
    assert (speed.events, speed.many_nodes, speed.software) == (1200, 20, "mosquitto")
    assert min(speed.broker_per_s, speed.collector_per_s, speed.many_nodes_per_s) > 0
    assert speed.collector_cpu_us > 0
    assert len(speed.memory_mib) == 10
    assert min(speed.memory_mib) > 0
    assert speed.stored == 1200, "every event once"
    assert speed.ratio == pytest.approx(speed.collector_per_s / speed.broker_per_s, abs=0.001)


@pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed")
def test_the_broker_goes_on_after_ten_thousand_queued_messages() -> None:
    with start_broker(software="mosquitto") as broker:
        nodes, bare = joined(broker.port, range(5)), listener(broker.port)
        flood = Flood(nodes, bare)
        for _ in range(3):
            flood.run(5000, timeout_s=10)
        assert flood.taken == 15_000
        for client in (*nodes, bare):
            client.socket.close()


def test_too_few_events_are_told() -> None:
    with pytest.raises(InputError, match="at least 1000"):
        intake_speed(150)


def test_a_made_event_is_one_of_the_contract() -> None:
    first, second = (Event.decode(event_payload("node-7", seq)) for seq in (1, 2))
    assert (first.node, first.seq, second.seq) == ("node-7", 1, 2)
    assert first.id != second.id


def test_packets_are_cut_where_they_end() -> None:
    stream = b"".join(publish("a/b", b"x" * size, size) for size in (1, 200, 20_000))
    reader, bodies = Reader(), []
    for at in range(0, len(stream), 37):
        bodies += [body for kind, _, body in reader.packets(stream[at : at + 37]) if kind == PUBLISH]
    assert [published(body) for body in bodies] == [
        (size.to_bytes(2), b"x" * size) for size in (1, 200, 20_000)
    ]
