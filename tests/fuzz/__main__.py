"""Fuzz the intake: `python -m tests.fuzz -runs=100000`; arguments are libFuzzer's.

Whatever bytes come on whatever topic, the intake must not fail: either they are exactly a record of the
contract, which is stored and receipted, or they go to the dead letters.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["broker.wire", "broker.collector.clips", "broker.collector.intake"]):
    from broker.collector.clips import ClipFolder
    from broker.collector.intake import Intake
    from broker.collector.store import Store
    from broker.topics import INTAKE, Address

from tests.broker.records import NODE, SITE, clip, counts, event, plate, status

CORPUS = Path(__file__).parent / "corpus"
HERE = Address(SITE, NODE, "event")
ODD: list[Any] = [
    *(None, True, 0, -1, 2**63, 1e308, -0.0, "", "a" * 500, "\x00", "\ud800", "<script>", [], {}, [[[]]]),
    *({"value": 1}, "2026-11-20T08:15:00Z", "00000000-0000-4000-8000-000000000000", [None] * 50),
]


def seeds() -> list[bytes]:
    """Return good messages of each kind, and the corpus of broken ones; the first byte says which topic."""
    good = (event(), counts(), clip(), plate(), status())
    kinds = ("event", "counts", "clip", "plate", "status")
    made = [bytes([INTAKE.index(kind)]) + each.encode() for kind, each in zip(kinds, good, strict=True)]
    broken = sorted(CORPUS.iterdir())
    return made + [bytes([INTAKE.index(kind_of(path))]) + path.read_bytes() for path in broken]


def kind_of(path: Path) -> Any:
    """Return the kind of message a file of the corpus pretends to be: the first word of its name."""
    return path.name.partition("-")[0]


def bent(data: bytes, size: int, seed: int) -> bytes:
    """Return a message with one of its values replaced, or a few of its bytes."""
    chance = random.Random(seed)
    try:
        document = json.loads(data[1:])
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, size))
    if chance.random() < 0.3 or not isinstance(document, dict) or not document:
        return bytes(atheris.Mutate(data, size))
    place: Any = document
    key: Any = chance.choice(list(document))
    while isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
        place = place[key]
        key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
    place[key] = chance.choice(ODD)
    return (data[:1] + json.dumps(document).encode("utf-8", "surrogatepass"))[:size]


def main() -> None:
    logging.disable(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-fuzz-"))
    (folder / "seeds").mkdir()
    for number, seed in enumerate(seeds()):
        (folder / "seeds" / str(number)).write_bytes(seed)
    store = Store(f"sqlite:///{folder / 'collector.db'}")
    store.migrate()
    intake = Intake(store, ClipFolder(folder / "clips"))

    def one(data: bytes) -> None:
        if not data:
            return
        kind = INTAKE[data[0] % len(INTAKE)]
        before = intake.stored["refused"]
        receipts = intake.take([(HERE.to(kind).topic, data[1:])])
        refused = intake.stored["refused"] > before
        assert refused or receipts or kind == "status", "neither stored nor refused"
        assert not (refused and receipts), "refused and receipted"

    arguments = [sys.argv[0], str(folder / "seeds"), *sys.argv[1:]]
    atheris.Setup(arguments, one, custom_mutator=bent)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
