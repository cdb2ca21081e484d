"""Signed webhooks, by the Standard Webhooks specification: HMAC-SHA256 over id, timestamp and body.

A receiver checks three headers with libraries there are for most languages, or with ``verify``. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S = 300
PREFIX = "whsec_"
# The specification asks for 24 to 64 bytes.
LEAST_BYTES, MOST_BYTES = 24, 64


class SignatureError(ValueError):
    """A delivery that was not signed with this secret, or too long ago."""


def secret_of(text: str) -> bytes:
    """Return the key of a secret as it is written: ``whsec_`` and base64.

    Raises:
        ValueError: anything else, or a key that is not 24 to 64 bytes long.
    """
    written = text.strip()
    try:
        if not written.startswith(PREFIX):
            raise ValueError
        key = base64.b64decode(written.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"expected {PREFIX} and base64 of {LEAST_BYTES} to {MOST_BYTES} bytes") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"the key has {len(key)} bytes, expected {LEAST_BYTES} to {MOST_BYTES}")
    return key


def headers(key: bytes, *, id_: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body."""
    return {
        ID: id_,
        TIMESTAMP: str(timestamp_s),
        SIGNATURE: f"v1,{base64.b64encode(_digest(key, id_, str(timestamp_s), body)).decode()}",
    }


def verify(
    key: bytes, given: Mapping[str, str], body: bytes, *, now_s: int, tolerance_s: int = TOLERANCE_S
) -> str:
    """Return the delivery's id; the same id may come twice.

    Args:
        given: the request's headers, names in lower case.

    Raises:
        SignatureError: headers missing, another key, a changed body, or a timestamp out of tolerance.
    """
    id_, timestamp, signatures = (given.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not id_ or not timestamp.isascii() or not timestamp.isdigit():
        raise SignatureError(f"{ID} or {TIMESTAMP} is missing or no number")
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise SignatureError(f"sent {now_s - int(timestamp)} s ago, more than {tolerance_s} s")
    expected = base64.b64encode(_digest(key, id_, timestamp, body)).decode()
    for each in signatures.split(" "):
        version, _, signature = each.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), expected.encode()):
            return id_
    raise SignatureError("no signature of this body with this key")


def _digest(key: bytes, id_: str, timestamp: str, body: bytes) -> bytes:
    return hmac.new(key, b".".join((id_.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
