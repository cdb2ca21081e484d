"""One MQTT connection, driven by the thread that owns it.

The only importer of paho. paho's own loop thread is not used: an exception in one of its callbacks kills
that thread while ``is_connected()`` stays True. Here the owner calls ``step`` and every fault ends in a fresh
client after a pause, so nothing of paho's queue survives a connection: what was not acknowledged is the
owner's to publish again (the outbox, or the collector's next receipt).
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.tls import Tls

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
# Receive Maximum of a broker that names none is 65,535; more than this in flight gains nothing.
WINDOW = 20
_PUBACK = bytes([0x40, 2])  # MQTT 3.4: what follows is the message id

Version = Literal["5", "3.1.1"]
OnMessage = Callable[[str, bytes], None]


class NotConnected(ConnectionError):
    """A publish while there is no broker; nothing was queued."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when this connection ends without a goodbye."""

    topic: str
    payload: bytes


class Session:
    """A connection that comes back by itself, with jittered back-off.

    MQTT 5 where the broker has it, else 3.1.1. Callbacks run inside ``step``, in the caller's thread;
    whatever they raise is logged and counted in ``faults`` and never ends the session.

    Args:
        subscriptions: topic filters, QoS 1, taken again at each connection.
        on_message: topic, payload.
        on_acknowledged: message id of a publish the broker has taken over (PUBACK, success).
        on_connection: True when connected and subscribed, False when lost.
        version: the one to try first; amqtt does not answer a CONNECT of version 5 with a will at all, and
            what does not answer costs ``CONNECT_TIMEOUT_S``.
        will: asked for at each connection, so that it can carry what is true by then.
        tls: the files to prove each other by; None is for loopback only.
        max_packet_bytes: the largest packet the broker may send (MQTT 5).
        burst: so many messages at most in one step; what has arrived already is read without waiting.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        client_id: str,
        subscriptions: Sequence[str] = (),
        on_message: OnMessage | None = None,
        on_acknowledged: Callable[[int], None] | None = None,
        on_connection: Callable[[bool], None] | None = None,
        will: Callable[[], Will] | None = None,
        version: Version = "5",
        keepalive_s: int = 15,
        longest_pause_s: float = 30.0,
        tls: Tls | None = None,
        max_packet_bytes: int | None = None,
        burst: int = 1,
        rng: random.Random | None = None,
    ) -> None:
        self.host, self.port, self.client_id = host, port, client_id
        self.faults = 0
        self.max_payload_bytes: int | None = None  # what the broker said it takes, MQTT 5 only
        self._subscriptions = tuple(subscriptions)
        self._on_message = on_message or (lambda topic, payload: None)
        self._on_acknowledged = on_acknowledged or (lambda mid: None)
        self._on_connection = on_connection or (lambda connected: None)
        self._will = will
        self._keepalive_s = keepalive_s
        self._tls = tls
        self._max_packet_bytes = max_packet_bytes
        self._burst = burst
        self._received = 0
        self._acknowledge = bytearray()  # PUBACKs of what came in this step, sent as one
        self._longest_pause_s = longest_pause_s
        self._rng = rng or random.Random()
        self._client: paho.Client | None = None
        self._protocol = MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311
        self._ready = False  # connected, and all subscriptions granted
        self._said_lost = False
        self._refusal = ""
        self._said = ""  # the first error paho wrote of this connection: why the other side hung up
        self._deadline = 0.0
        self._failures = 0
        self._next_try = 0.0

    @property
    def connected(self) -> bool:
        return self._ready

    @property
    def version(self) -> Version:
        return "5" if self._protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1"

    def step(self, timeout_s: float) -> None:
        """Move bytes for at most about ``timeout_s``; connect or wait where there is no connection."""
        if self._client is None:
            pause = self._next_try - time.monotonic()
            if pause > 0:
                time.sleep(min(pause, timeout_s))
                return
            self._connect()
        client = self._client
        if client is None:
            return
        code = client.loop(timeout_s)
        for _ in range(self._burst - 1):
            before = self._received
            if code != paho.MQTT_ERR_SUCCESS or client.socket() is None:
                break
            code = client.loop_read()
            if self._received == before:
                break
        if code == paho.MQTT_ERR_SUCCESS and self._acknowledge:
            code = self._send_acknowledgements(client)
        if code != paho.MQTT_ERR_SUCCESS:
            self._lost(self._why(code))
        elif self._refusal:
            self._lost(self._refusal)
        elif not self._ready and time.monotonic() > self._deadline:
            self._lost("the broker did not answer")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send one message, QoS 1, and return its message id.

        Raises:
            NotConnected: there is no broker right now.
        """
        if not self._ready or self._client is None:
            raise NotConnected(f"no broker at {self.host}:{self.port}")
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            self._lost(paho.error_string(sent.rc))
            raise NotConnected(f"the broker at {self.host}:{self.port} went away")
        return sent.mid

    def close(self) -> None:
        """Say goodbye, which keeps the will unsaid."""
        client, self._client, self._ready = self._client, None, False
        if client is not None:
            client.disconnect()
            for _ in range(3):
                client.loop(0.05)

    def drop(self) -> None:
        """Go without a goodbye: the broker says the will."""
        client, self._client, self._ready = self._client, None, False
        sock = client.socket() if client is not None else None
        if sock is not None:
            sock.close()

    def _connect(self) -> None:
        options: dict[str, Any] = {}
        if self._protocol != MQTTProtocolVersion.MQTTv5:
            options["clean_session"] = True
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            protocol=self._protocol,
            reconnect_on_failure=False,
            manual_ack=True,
            **options,
        )
        client.max_inflight_messages_set(WINDOW)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.suppress_exceptions = True  # _guarded has caught, logged and counted them already
        client.on_connect = self._guarded(self._connack)
        client.on_subscribe = self._guarded(self._suback)
        client.on_message = self._guarded(self._message)
        client.on_publish = self._guarded(self._puback)
        if self._will is not None:
            will = self._will()
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_log = self._guarded(self._log)
        self._client, self._refusal, self._said = client, "", ""
        self._acknowledge.clear()
        self._deadline = time.monotonic() + CONNECT_TIMEOUT_S
        try:
            if self._tls is not None:
                client.tls_set_context(self._tls.context())
            if self._protocol == MQTTProtocolVersion.MQTTv5:
                wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
                if self._max_packet_bytes is not None:
                    wishes.MaximumPacketSize = self._max_packet_bytes
                client.connect(self.host, self.port, self._keepalive_s, clean_start=True, properties=wishes)
            else:
                client.connect(self.host, self.port, self._keepalive_s)
            # Many small writes each way: Nagle's delay makes each message take 40 ms on some brokers.
            sock = client.socket()
            if isinstance(sock, socket.socket):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ValueError) as error:
            self._client = None
            self._wait(str(error))

    def _send_acknowledgements(self, client: paho.Client) -> MQTTErrorCode:
        """Send at once what paho would send one by one, two system calls each."""
        sock = client.socket()
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while sock is not None and client.want_write() and time.monotonic() < deadline:
            client.loop_write()  # never into the middle of a packet of paho's
            sock = client.socket()
        while isinstance(sock, socket.socket) and self._acknowledge and time.monotonic() < deadline:
            try:
                del self._acknowledge[: sock.send(self._acknowledge)]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([], [sock], [], 0.05)
            except OSError:
                break
        if self._acknowledge:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _why(self, code: int) -> str:
        reason = self._said or paho.error_string(code)
        if self._tls is not None and not self._ready and ("EOF" in reason or "reset by peer" in reason):
            # Brokers often hang up before their reason is read.
            return "it hung up on our certificate: expired, revoked, or of another CA than its own"
        return reason

    def _lost(self, reason: str) -> None:
        client, was_ready = self._client, self._ready
        self._client, self._ready = None, False
        if client is not None:
            sock = client.socket()
            if sock is not None:
                sock.close()
        if was_ready:
            self._call(self._on_connection, False)
        else:
            # A broker of 3.1.1 (amqtt) hangs up on a CONNECT of version 5: speak the other one next time.
            five = self._protocol == MQTTProtocolVersion.MQTTv5
            self._protocol = MQTTProtocolVersion.MQTTv311 if five else MQTTProtocolVersion.MQTTv5
            if five and self._failures == 0:
                self._failures += 1
                return
        self._wait(reason)

    def _wait(self, reason: str) -> None:
        longest = min(self._longest_pause_s, 0.25 * 2 ** min(self._failures, 10))
        self._next_try = time.monotonic() + longest * self._rng.uniform(0.5, 1.0)
        self._failures += 1
        if not self._said_lost:
            self._said_lost = True
            logger.warning("no broker at %s:%d: %s; trying again", self.host, self.port, reason)

    def _connack(
        self, client: paho.Client, _userdata: object, _flags: object, code: Any, properties: Any
    ) -> None:
        if code.is_failure:
            self._refusal = str(code)  # some brokers hang up now, some do not
            return
        self.max_payload_bytes = getattr(properties, "MaximumPacketSize", None)
        if self._subscriptions:
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        else:
            self._up()

    def _suback(
        self, _client: paho.Client, _userdata: object, _mid: int, codes: Any, _properties: object
    ) -> None:
        refused = [topic for topic, code in zip(self._subscriptions, codes, strict=False) if code.is_failure]
        if refused:
            logger.error("the broker refused the subscription to %s", ", ".join(refused))
            return
        self._up()

    def _up(self) -> None:
        self._ready, self._failures, self._said_lost = True, 0, False
        if self._client is not None:
            self._client.on_log = None  # paho would write a line for every message
        logger.info("connected to the broker at %s:%d, MQTT %s", self.host, self.port, self.version)
        self._call(self._on_connection, True)

    def _message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self._received += 1
        if message.qos == 1:
            self._acknowledge += _PUBACK + message.mid.to_bytes(2)
        self._on_message(message.topic, bytes(message.payload))

    def _puback(
        self, _client: paho.Client, _userdata: object, mid: int, code: Any, _properties: object
    ) -> None:
        if code is not None and code.is_failure:
            logger.warning("the broker refused a message: %s", code)
            return
        self._on_acknowledged(mid)

    def _log(self, _client: paho.Client, _userdata: object, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR and not self._said:
            self._said = text

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: Any) -> None:
            self._call(callback, *arguments)

        return guarded

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:
            self.faults += 1
            logger.exception("a callback of the MQTT connection failed")


def wait_until(session: Session, reached: Callable[[], bool], *, timeout_s: float) -> bool:
    """Drive a session until a condition holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > deadline:
            return False
        with contextlib.suppress(NotConnected):
            session.step(0.05)
    return True
