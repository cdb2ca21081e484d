"""Wrong ways of SUMO's: vehicles of another run of a junction, played backwards among those of this one.

Played backwards a vehicle comes out of the junction up its approach. With its heading turned round it drives
there against the traffic; with the heading it had it backs up, and does nothing wrong. When its rear was over
the stop line SUMO says itself, from the way it has driven.
"""

from __future__ import annotations

import csv
import json
import random
from dataclasses import replace
from pathlib import Path

from tests.sumo.truths import rfc3339
from tests.sumo.world import World

# Shares of those of the other run that kept to one lane before the line: driven, and backed, up the approach.
WRONG, BACKING = 0.2, 0.1


def with_wrong_ways(world: World, other: World, folder: Path, *, seed: int) -> World:
    """Write a world's tracks and truth with vehicles of another run of the same junction among them."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with world.tracks.open() as file:
        rows = list(csv.DictReader(file))
    last = max(float(row["time"]) for row in rows)
    turned: dict[str, bool] = {}
    events = [json.loads(line) for line in world.truth.read_text().splitlines()]
    kinds: dict[str, str] = {}
    times = {
        str(other.numbers[name]): (lane, time) for name, lane, time in other.rears if name in other.numbers
    }
    for number in times:
        draw = chance.random()
        if draw < WRONG + BACKING:
            turned[number] = draw < WRONG
    with other.tracks.open() as file:
        for row in csv.DictReader(file):
            if row["track"] not in turned or not last - float(row["time"]) >= 0:
                continue
            kinds[row["track"]] = row["kind"]
            if turned[row["track"]]:
                row["heading_deg"] = f"{(float(row['heading_deg']) + 360) % 360 - 180:.2f}"
            row["time"] = f"{last - float(row['time']):.2f}"
            rows.append({**row, "track": f"m{row['track']}"})
    for number, kind in kinds.items():
        lane, time = times[number]
        if turned[number]:
            event = {
                "v": 1,
                "rule": "wrong_way",
                "time": rfc3339(last - time),
                "place": lane,
                "road_user": kind,
            }
            events.append({**event, "site": events[0]["site"]})
    rows.sort(key=lambda row: float(row["time"]))
    tracks, truth = folder / "tracks.csv", folder / "truth.jsonl"
    with tracks.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    events.sort(key=lambda event: str(event["time"]))
    truth.write_text("".join(json.dumps({**event, "n": n}) + "\n" for n, event in enumerate(events, 1)))
    wrong = sum(event["rule"] == "wrong_way" for event in events)
    return replace(
        world, folder=folder, tracks=tracks, truth=truth, counts={**world.counts, "wrong_way": wrong}
    )
