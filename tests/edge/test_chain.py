"""The whole chain on this machine: everything arrives once, whatever is killed on the way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from broker.collector.findings import confirmed, exposure
from broker.collector.store import Store, gaps
from broker.embedded import Software, free_port, start_broker
from broker.wire import Event
from edge.chain import ChainError, LocalChain
from edge.rules.finding import Exposure
from tests.broker.records import BIN_TIME, EVENT_TIME, ROAD_SITE, SITE, clip, local_event, plate

pytestmark = pytest.mark.broker
NODE = "demo"


def store_of(chain: LocalChain) -> Store:
    return Store(f"sqlite:///{chain.folder / 'collector.db'}")


@pytest.mark.parametrize("software", ["mosquitto", "amqtt"])
def test_all_that_is_published_is_stored_and_receipted(tmp_path: Path, software: Software) -> None:
    if software == "mosquitto" and not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("mosquitto is not installed")
    with LocalChain(tmp_path, site=ROAD_SITE, software=software) as chain:
        plate_hash = chain.publish_plate(plate())
        ids = [chain.publish(local_event(n, node=NODE), clip(offset=n)) for n in range(1, 6)]
        chain.publish_counts([Exposure(BIN_TIME.timestamp(), "N", "car", 7)])
        assert chain.drain(20)
        stored = chain.stored_events()
        store = store_of(chain)
        with store.read() as connection:
            assert exposure(connection) == {(SITE, "N", "car"): 7}
            assert gaps(connection, SITE, NODE) == []
            assert confirmed(connection)[0]["confirmed"] == 0
        store.close()
        kept = {path.stem: path.read_bytes() for path in (chain.folder / "clips").glob("??/*.json")}

    assert {each.id for each in stored} == set(ids)
    assert {each.time for each in stored} == {BIN_TIME}
    assert EVENT_TIME.isoformat(timespec="milliseconds")[-12:-6].encode() not in b"".join(
        each.encode() for each in stored
    )
    assert {each.clip for each in stored} | {plate_hash} == set(kept)
    assert all(plate_hash.encode() in kept[each.clip] for each in stored if each.clip)


def test_a_second_run_begins_afresh_or_goes_on(tmp_path: Path) -> None:
    with LocalChain(tmp_path, site=ROAD_SITE) as chain:
        chain.publish(local_event(1, node=NODE), None)
        assert chain.drain(20)
    with LocalChain(tmp_path, site=ROAD_SITE, fresh=False) as chain:
        chain.publish(local_event(2, node=NODE), None)
        assert chain.drain(20)
        assert sorted(each.seq for each in chain.stored_events()) == [1, 2]
    mine = tmp_path / "chain" / "notes.txt"
    mine.write_text("somebody's own")
    with LocalChain(tmp_path, site=ROAD_SITE) as chain:
        assert chain.stored_events() == []
    assert mine.exists()


@pytest.mark.parametrize("victim", ["collector", "broker", "both"])
def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, victim: str) -> None:
    chance = random.Random(victim)
    with LocalChain(tmp_path, site=ROAD_SITE) as chain:
        ids = []
        for number in range(1, 121):
            ids.append(chain.publish(local_event(number, node=NODE), clip(offset=number)))
            if number in (30, 80):
                time.sleep(chance.uniform(0.0, 0.02))
                _kill(chain, victim)
        assert chain.drain(30)
        stored = chain.stored_events()
        store = store_of(chain)
        with store.read() as connection:
            assert gaps(connection, SITE, NODE) == []
        store.close()
    assert sorted(each.id for each in stored) == sorted(ids)
    assert sorted(each.seq for each in stored) == list(range(1, 121))


def _kill(chain: LocalChain, victim: str) -> None:
    """End children as a power cut would, and start them again as an init system would."""
    assert chain.broker is not None and chain.collector is not None
    if victim in ("collector", "both"):
        chain.collector.kill()
        chain.collector.wait()
        assert chain.collector.stdout is not None
        chain.collector.stdout.close()
    if victim in ("broker", "both"):
        port = chain.broker.port
        chain.broker.kill()
        chain.broker.stop()
        chain.broker = start_broker(port=port)
    if victim in ("collector", "both"):
        chain.start_collector()


def test_a_collector_that_stands_still_loses_nothing(tmp_path: Path) -> None:
    with LocalChain(tmp_path, site=ROAD_SITE) as chain:
        assert chain.collector is not None
        os.kill(chain.collector.pid, signal.SIGSTOP)
        ids = [chain.publish(local_event(n, node=NODE), None) for n in range(1, 31)]
        assert not chain.drain(0.5)
        os.kill(chain.collector.pid, signal.SIGCONT)
        assert chain.drain(20)
        assert sorted(each.id for each in chain.stored_events()) == sorted(ids)


def test_no_child_is_left_behind(tmp_path: Path) -> None:
    with LocalChain(tmp_path, site=ROAD_SITE) as chain:
        assert chain.broker is not None and chain.collector is not None
        children = [chain.broker.process, chain.collector]
        folder = chain.broker.folder
    assert all(child.poll() is not None for child in children)
    assert not folder.exists()
    with pytest.raises(ChainError, match="not open"):
        chain.drain()


def test_children_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from edge.chain import LocalChain; from tests.broker.records import ROAD_SITE\n"
        "with LocalChain(Path(sys.argv[1]), site=ROAD_SITE) as chain:\n"
        "    print(chain.broker.folder, chain.broker.pid, chain.collector.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    folder, *words = parent.stdout.readline().split()
    pids = [int(word) for word in words]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in pids)
    shutil.rmtree(folder)  # a killed parent cannot


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, and nobody has asked for its exit status


def test_events_come_out_of_the_store_as_they_were_sent(tmp_path: Path) -> None:
    with LocalChain(tmp_path, site=ROAD_SITE) as chain:
        chain.publish(local_event(1, node=NODE), None)
        chain.publish(local_event(2, node=NODE, rule="near_miss", road_user2="bus", caused_by=1), None)
        assert chain.drain(20)
        cause, effect = sorted(chain.stored_events(), key=lambda each: each.rule, reverse=True)
    assert (cause.rule, effect.rule, effect.caused_by) == ("red_light_entry", "near_miss", cause.id)
    assert all(Event.decode(each.encode()) == each for each in (cause, effect))


def test_the_page_is_up_until_ctrl_c(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from edge.chain import LocalChain; from tests.broker.records import ROAD_SITE, local_event\n"
        "with LocalChain(Path(sys.argv[1]), site=ROAD_SITE) as chain:\n"
        "    chain.publish(local_event(1, node='demo'), None)\n"
        "    assert chain.drain(20)\n"
        "    chain.serve(int(sys.argv[2]))\n"
    )
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(port)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    url = child.stdout.readline().split()[2]
    assert url.startswith(f"http://127.0.0.1:{port}/?token=")
    cookie = httpx.get(url).headers["set-cookie"].partition(";")[0]  # httpx keeps no Secure cookie over http
    assert "Red-light entry" in httpx.get(f"http://127.0.0.1:{port}/", headers={"Cookie": cookie}).text
    child.send_signal(signal.SIGINT)
    assert child.wait(15) == 0
    child.stdout.close()
