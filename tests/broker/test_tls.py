"""TLS: who may connect, and what each may say, on a real mosquitto set up by `nearmiss broker init`."""

from __future__ import annotations

import dataclasses
import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.authority import Authority, read
from broker.collector.config import ConfigError, load_collector
from broker.embedded import mosquitto_path
from broker.mqtt import Session, Will, wait_until
from broker.site_broker import BrokerFolderError, init
from broker.tls import Tls
from edge.config import load_node
from edge.errors import InputError
from tests.broker.secure import SecureBroker, connects, long_ago, secure_broker

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(mosquitto_path() is None, reason="mosquitto is not installed"),
]


@pytest.fixture(scope="module")
def secure() -> Iterator[SecureBroker]:
    with secure_broker() as broker:
        yield broker


def both(first: Session, second: Session, reached: object, *, timeout_s: float = 5.0) -> bool:
    assert callable(reached)
    deadline = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > deadline:
            return False
        first.step(0.02)
        second.step(0.02)
    return True


def test_a_node_speaks_to_its_collector_and_hears_its_receipts(secure: SecureBroker) -> None:
    came: list[str] = []
    node = secure.session(
        "anything",
        tls=secure.tls("node", "cam-n"),
        subscriptions=["nearmiss/v1/main-5th/cam-n/receipt"],
        on_message=lambda topic, _: came.append(topic),
    )
    collector = secure.session(
        "whatever",
        tls=secure.tls("collector", "main"),
        subscriptions=["nearmiss/v1/+/+/event"],
        on_message=lambda topic, _: came.append(topic),
    )
    assert both(node, collector, lambda: node.connected and collector.connected)
    node.publish("nearmiss/v1/main-5th/cam-n/event", b"{}")
    collector.publish("nearmiss/v1/main-5th/cam-n/receipt", b"{}")
    assert both(node, collector, lambda: len(came) == 2)
    assert sorted(came) == ["nearmiss/v1/main-5th/cam-n/event", "nearmiss/v1/main-5th/cam-n/receipt"]
    node.close()
    collector.close()


def test_a_node_in_another_nodes_topics_is_not_heard(secure: SecureBroker) -> None:
    came: list[str] = []
    collector = secure.session(
        "c",
        tls=secure.tls("collector", "main"),
        subscriptions=["nearmiss/v1/+/+/event", "nearmiss/v1/+/+/status"],
        on_message=lambda topic, _: came.append(topic),
    )
    node = secure.session("n", tls=secure.tls("node", "cam-n"))
    assert both(node, collector, lambda: node.connected and collector.connected)
    for topic in (
        "nearmiss/v1/main-5th/cam-s/event",  # another node's
        "nearmiss/v1/main-5th/cam-n/receipt",  # a receipt that no collector gave
        "nearmiss/v1/main-5th/cam-n/extra/event",
        "elsewhere",
        "nearmiss/v1/main-5th/cam-n/event",  # its own, at last
    ):
        node.publish(topic, b"{}")
    assert both(node, collector, lambda: bool(came))
    both(node, collector, lambda: False, timeout_s=0.3)
    assert came == ["nearmiss/v1/main-5th/cam-n/event"]
    node.close()
    collector.close()


@pytest.mark.parametrize(
    "topic",
    [
        pytest.param("nearmiss/v1/+/+/event", id="events"),
        pytest.param("nearmiss/v1/main-5th/cam-s/receipt", id="another node's receipts"),
        pytest.param("#", id="everything"),
    ],
)
def test_a_node_hears_nothing_but_its_receipts(secure: SecureBroker, topic: str) -> None:
    came: list[str] = []
    listener = secure.session(
        "n",
        tls=secure.tls("node", "cam-n"),
        subscriptions=[topic],
        on_message=lambda topic, _: came.append(topic),
    )
    speaker = secure.session("s", tls=secure.tls("node", "cam-s"))
    collector = secure.session("c", tls=secure.tls("collector", "main"))
    assert both(speaker, collector, lambda: speaker.connected and collector.connected)
    connects(listener, timeout_s=0.5)
    speaker.publish("nearmiss/v1/main-5th/cam-s/event", b"{}")
    collector.publish("nearmiss/v1/main-5th/cam-s/receipt", b"{}")
    both(speaker, collector, lambda: False, timeout_s=0.2)
    connects(listener, timeout_s=0.3)
    assert came == []
    for each in (listener, speaker, collector):
        each.close()


def refused(session: Session, caplog: pytest.LogCaptureFixture) -> str:
    """Return what is logged of a connection that must not come to be."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="broker.mqtt"):
        assert not connects(session, timeout_s=1.5)
    session.close()
    (said,) = caplog.messages
    return said


def test_without_a_certificate_nobody_connects(
    secure: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    assert refused(secure.session("n", tls=None), caplog)


def test_a_foreign_certificate_is_refused(
    secure: SecureBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = init(tmp_path / "other", hosts=("broker.example",), nodes=("cam-n",)).folder / "nodes" / "cam-n"
    ours = secure.tls("node", "cam-n")
    foreign = Tls(ours.ca, other / "own.crt", other / "own.key")
    said = refused(secure.session("n", tls=foreign), caplog)
    assert any(why in said for why in ("of another CA", "unknown ca"))


def test_a_foreign_broker_is_refused(
    secure: SecureBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = init(tmp_path / "other", hosts=("broker.example",)).folder / "ca" / "ca.crt"
    tls = dataclasses.replace(secure.tls("node", "cam-n"), ca=other)
    assert "CERTIFICATE_VERIFY_FAILED" in refused(secure.session("n", tls=tls), caplog)


def test_a_broker_of_another_name_is_refused(secure: SecureBroker, caplog: pytest.LogCaptureFixture) -> None:
    there = secure.session("n", tls=secure.tls("node", "cam-n"), host="127.0.0.2")
    assert not connects(there, timeout_s=0.5)
    there.close()


def test_an_expired_certificate_is_refused(
    secure: SecureBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = secure.tls("node", "cam-n")
    Authority(secure.folder.folder / "ca").issue(
        "cam-n", "client", certificate=tmp_path / "own.crt", key=tmp_path / "own.key", now=long_ago()
    )
    expired = Tls(own.ca, tmp_path / "own.crt", tmp_path / "own.key")
    assert "expired" in refused(secure.session("n", tls=expired), caplog)


def test_a_forged_will_is_refused(secure: SecureBroker) -> None:
    came: list[str] = []
    collector = secure.session(
        "c",
        tls=secure.tls("collector", "main"),
        subscriptions=["nearmiss/v1/+/+/status"],
        on_message=lambda topic, _: came.append(topic),
    )
    assert connects(collector)
    tls = secure.tls("node", "cam-n")
    forger = secure.session(
        "n", tls=tls, will=lambda: Will("nearmiss/v1/main-5th/cam-s/status", b"cam-s is lost")
    )
    connects(forger, timeout_s=1.0)
    forger.drop()
    honest = secure.session("n", tls=tls, will=lambda: Will("nearmiss/v1/main-5th/cam-n/status", b"lost"))
    assert connects(honest)
    honest.drop()
    assert wait_until(collector, lambda: bool(came), timeout_s=5)
    assert came == ["nearmiss/v1/main-5th/cam-n/status"]
    collector.close()


def test_nobody_takes_another_nodes_connection(secure: SecureBroker) -> None:
    lost: list[bool] = []
    node = secure.session("cam-n", tls=secure.tls("node", "cam-n"), on_connection=lost.append)
    assert connects(node)
    thief = secure.session("cam-n", tls=secure.tls("node", "cam-s"))
    assert connects(thief)
    wait_until(node, lambda: False, timeout_s=0.3)
    assert lost == [True]
    node.close()
    thief.close()


def test_a_revoked_certificate_is_refused_after_a_reload(caplog: pytest.LogCaptureFixture) -> None:
    with secure_broker() as broker:
        tls = broker.tls("node", "cam-n")
        files = {name: getattr(tls, name).read_bytes() for name in ("ca", "certificate", "key")}
        node = broker.session("n", tls=tls)
        assert connects(node)
        node.close()
        broker.folder.revoke(broker.folder.holder("node", "cam-n"))
        with pytest.raises(BrokerFolderError, match="no node 'cam-n'"):
            broker.folder.holder("node", "cam-n")
        stolen = broker.folder.folder.parent / "stolen"
        stolen.mkdir()
        for name, content in files.items():
            (stolen / name).write_bytes(content)
        broker.process.send_signal(signal.SIGHUP)
        wait_until(node, lambda: False, timeout_s=0.3)
        back = broker.session("n", tls=Tls(*(stolen / name for name in files)))
        assert "revoked" in refused(back, caplog)
        kept = broker.session("s", tls=broker.tls("node", "cam-s"))
        assert connects(kept), broker.said()
        kept.close()


def test_a_renewed_certificate_is_taken_without_a_restart(secure: SecureBroker) -> None:
    tls = secure.tls("node", "cam-s")
    before = read(tls.certificate)
    node = secure.session("s", tls=tls)
    assert connects(node)
    secure.folder.renew(secure.folder.holder("node", "cam-s"), days=900)
    assert connects(node)
    node.drop()
    assert connects(node), "the files are read at each connection"
    after = read(tls.certificate)
    assert (after.name, after.serial == before.serial, after.ends > before.ends) == ("cam-s", False, True)
    node.close()


def collector_toml(folder: Path, broker: str) -> Path:
    path = folder / "collector.toml"
    path.write_text(f"[broker]\n{broker}\n[review]\nenabled = false\n")
    return path


TLS = 'tls = { ca = "ca.crt", certificate = "own.crt", key = "own.key" }'


def test_off_this_machine_there_is_no_connection_without_tls(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_collector(collector_toml(tmp_path, 'host = "broker.example"'))
    (said,) = caught.value.problems
    assert "broker.tls: broker.example is another machine, reached with TLS only" in said
    node = tmp_path / "node.toml"
    node.write_text(
        '[node]\nid = "cam-n"\nsite = "site.toml"\n[source]\nvideo = "a.mp4"\n'
        'start = "2026-11-20T08:15:00Z"\n[broker]\nhost = "192.0.2.1"\n'
    )
    with pytest.raises(InputError) as told:
        load_node(node)
    (said,) = told.value.problems
    assert "192.0.2.1 is another machine, reached with TLS only" in said


def test_every_tls_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    made = init(tmp_path / "broker", hosts=("broker.example",), nodes=("cam-n", "cam-s")).folder
    path = collector_toml(tmp_path, f'host = "broker.example"\n{TLS}')
    with pytest.raises(ConfigError) as caught:
        load_collector(path)
    assert [said.split(": ")[1] for said in caught.value.problems] == [
        "broker.tls.ca",
        "broker.tls.certificate",
        "broker.tls.key",
    ]
    for source, name in (("ca.crt", "ca.crt"), ("own.crt", "own.crt"), ("own.crt", "own.key")):
        (tmp_path / name).write_bytes((made / "nodes" / "cam-n" / source).read_bytes())
    with pytest.raises(ConfigError, match="is no private key"):
        load_collector(path)
    key = tmp_path / "own.key"
    key.write_bytes((made / "nodes" / "cam-s" / "own.key").read_bytes())
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="expected mode 0600"):
        load_collector(path)
    key.chmod(0o600)
    with pytest.raises(ConfigError, match=r"own.key is not the key of .*own.crt"):
        load_collector(path)
    key.write_bytes((made / "nodes" / "cam-n" / "own.key").read_bytes())
    assert load_collector(path).broker.tls is not None
