"""`make soak`: 200 random kill -9 and SIGSTOP of node, broker and collector; a table at the end.

python -m tests.soak [--faults 200] [--seed 1] [--broker mosquitto|amqtt] [--store sqlite|postgresql]
Exits 1 where anything was lost, doubled, invented, refused, or left a gap.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from broker.embedded import Software, mosquitto_path
from tests.broker import postgres
from tests.soak.rig import PARTS, Result, Rig

SOFTWARE: tuple[Software, ...] = ("mosquitto", "amqtt")
STORES = ("sqlite", "postgresql")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200, help="of all combinations together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=40.0, help="events a second")
    parser.add_argument("--broker", choices=SOFTWARE, action="append", help="default: both")
    parser.add_argument("--store", choices=STORES, action="append", help="default: both")
    wanted = parser.parse_args()
    combinations = [
        (software, store) for software in wanted.broker or SOFTWARE for store in wanted.store or STORES
    ]
    results = []
    for number, (software, store) in enumerate(combinations):
        share = wanted.faults // len(combinations) + (number < wanted.faults % len(combinations))
        if software == "mosquitto" and mosquitto_path() is None:
            print("mosquitto is not installed: left out")
            continue
        if store == "postgresql" and postgres.bin_folder() is None:
            print("PostgreSQL is not installed: left out")
            continue
        print(f"{software}, {store}: {share} faults, seed {wanted.seed} ...", flush=True)
        results.append(soak(software, store, share, seed=wanted.seed, rate_hz=wanted.rate))
    print(table(results))
    return 0 if results and all(result.well for result in results) else 1


def soak(software: Software, store: str, faults: int, *, seed: int, rate_hz: float) -> Result:
    """Run one combination; its folder is kept where something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-soak-"))
    chance = random.Random(f"{seed} {software} {store}")
    with ExitStack() as stack:
        database = f"sqlite:///{folder / 'collector.db'}"
        if store == "postgresql":
            database = stack.enter_context(postgres.cluster())
        result = Rig(folder, software, database, rate_hz, chance).run(faults, store=store)
    if result.well:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what was left lies in {folder}")
    return result


def table(results: list[Result]) -> str:
    """Return the results as Markdown."""
    lines = [
        "| broker | store | kill -9 of node, broker, collector | SIGSTOP of the same | put | stored | lost "
        "| doubled | gaps | clips missing | refused | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        kills, stops = (
            ", ".join(str(each.faults[part, how]) for part in PARTS)  # type: ignore[index]
            for how in ("kill", "stop")
        )
        lines.append(
            f"| {each.broker} | {each.store} | {kills} | {stops} | {each.promised} | {each.stored} "
            f"| {each.lost} | {each.doubled + each.invented} | {each.gaps} | {each.clips_missing} "
            f"| {each.refused + each.quarantined} | {each.seconds:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
