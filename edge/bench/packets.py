"""MQTT 3.1.1 packets as bytes, for benchmarks: a thousand clients in one process, at hardly any cost.

A real client costs more than the broker it is to measure. Source: OASIS MQTT 3.1.1, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ = 1, 2, 3, 4, 8, 9, 12


def connect(client_id: str, *, keepalive_s: int = 60) -> bytes:
    return _packet(CONNECT, 0, _text("MQTT") + bytes([4, 2]) + keepalive_s.to_bytes(2) + _text(client_id))


def subscribe(topic: str, message: int = 1) -> bytes:
    return _packet(SUBSCRIBE, 2, message.to_bytes(2) + _text(topic) + b"\x01")


def publish(topic: str, payload: bytes, message: int) -> bytes:
    """Return a publish of QoS 1."""
    return _packet(PUBLISH, 2, _text(topic) + message.to_bytes(2) + payload)


def puback(message: bytes) -> bytes:
    return bytes([PUBACK << 4, 2]) + message


class Reader:
    """Cuts what arrives into packets."""

    def __init__(self) -> None:
        self._bytes = b""

    def packets(self, more: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield kind, flags and body of each packet that is complete."""
        self._bytes += more
        at, end = 0, len(self._bytes)
        while end - at >= 2:
            length, shift, body = 0, 0, at + 1
            while body < end:
                byte = self._bytes[body]
                length |= (byte & 127) << shift
                body, shift = body + 1, shift + 7
                if byte < 128:
                    break
            else:
                break
            if end - body < length:
                break
            yield self._bytes[at] >> 4, self._bytes[at] & 15, self._bytes[body : body + length]
            at = body + length
        self._bytes = self._bytes[at:]


def published(body: bytes) -> tuple[bytes, bytes]:
    """Return message id and payload of a publish of QoS 1."""
    after = 2 + int.from_bytes(body[:2])
    return body[after : after + 2], body[after + 2 :]


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    length, head = len(body), bytes([kind << 4 | flags])
    while True:
        length, byte = length >> 7, length & 127
        head += bytes([byte | (128 if length else 0)])
        if not length:
            return head + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2) + encoded
