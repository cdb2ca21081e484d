"""A node for the soak, to be killed: the real outbox and publish thread, and events at an even rate.

Before an event is put its id is written down as intended, after ``put`` has returned as promised: what is
promised must be in the store at the end, and nothing may be there that was not intended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from uuid import uuid4

from broker.mqtt import Version
from broker.wire import Status
from edge.outbox import Outbox
from edge.publish import Publisher
from tests.broker.records import NODE, SITE, SOFTWARE, clip, counts, event
from tests.soak.ledger import Ledger

RETRY_S = 0.5
CLIP_EVERY, COUNTS_EVERY = 5, 20


def run(folder: Path, port: int, version: Version, rate_hz: float) -> None:
    """Put events until the file ``enough`` appears, then until all is receipted."""
    outbox = Outbox(folder / "outbox.db", retry_s=RETRY_S)
    publisher = Publisher(
        outbox,
        site=SITE,
        node=NODE,
        host="127.0.0.1",
        port=port,
        health=lambda seq: Status(site=SITE, node=NODE, seq=seq, state="running", software=SOFTWARE),
        hold_s=RETRY_S,
        longest_pause_s=1.0,
        version=version,
    )
    publisher.start()
    ledger = Ledger(folder / "ledger")
    number = ledger.lines()
    print("node: ready", flush=True)
    while not (folder / "enough").exists():
        number += 1
        if number % COUNTS_EVERY == 0:
            key = f"counts-{number}"
            ledger.intend(key)
            outbox.put_counts(counts(count=1), due=time.time())
            ledger.promise(key)
        else:
            identity = uuid4()
            drawing = clip(offset=number % 20_000) if number % CLIP_EVERY == 0 else None
            hash_ = None if drawing is None else _hash(drawing.encode())
            ledger.intend(str(identity))
            outbox.put_event(event(id=identity, clip=hash_), drawing, due=time.time())
            ledger.promise(str(identity))
        time.sleep(1 / rate_hz)
    while outbox.level().rows:
        time.sleep(0.05)
    quarantined = outbox.level().quarantined
    (folder / "drained").write_text(str(quarantined))
    publisher.close()
    outbox.close()


def _hash(payload: bytes) -> str:
    from edge.outbox import sha256

    return sha256(payload)


if __name__ == "__main__":
    said: Version = "5" if sys.argv[3] == "5" else "3.1.1"
    run(Path(sys.argv[1]), int(sys.argv[2]), said, float(sys.argv[4]))
