"""Who drives and walks through a SUMO junction, some of them against the signal."""

from __future__ import annotations

import random
from pathlib import Path

from tests.sumo.junctions import Junction, Leg


def _apart_deg(one: Leg, other: Leg) -> float:
    return abs((one.bearing_deg - other.bearing_deg + 180) % 360 - 180)


def write_routes(junction: Junction, folder: Path, *, seed: int, end_s: float) -> Path:
    chance = random.Random(seed)
    # In a jam everybody enters, room or not.
    blocks = 'jmIgnoreKeepClearTime="0"' if junction.jammed else ""
    runs_red = 'jmDriveAfterRedTime="{:.1f}" jmDriveRedSpeed="20" jmDriveAfterYellowTime="4"'
    types = [
        f'<vType id="car" vClass="passenger" length="4.6" width="1.8" minGap="2.5" {blocks}/>',
        '<vType id="truck" vClass="truck" length="9.5" width="2.5"/>',
        '<vType id="motorcycle" vClass="motorcycle" length="2.2" width="0.8"/>',
        f'<vType id="car_red" vClass="passenger" length="4.4" width="1.8" {runs_red.format(100)}/>',
        f'<vType id="truck_red" vClass="truck" length="8.5" width="2.5" {runs_red.format(100)}/>',
        f'<vType id="motorcycle_red" vClass="motorcycle" length="2.2" width="0.8" {runs_red.format(8)}/>',
        '<vType id="ped" vClass="pedestrian" length="0.5" width="0.5" speedDev="0.15"/>',
        '<vType id="ped_red" vClass="pedestrian" length="0.5" width="0.5" speedDev="0.15" '
        'jmDriveAfterRedTime="1000" jmIgnoreFoeProb="1"/>',
    ]
    if junction.heedless:
        heed = 'jmIgnoreFoeProb="1" jmIgnoreJunctionFoeProb="1"'
        types = [row.replace("/>", f" {runs_red.format(1000)} {heed}/>") for row in types[:3]] + types[6:]
    if junction.careless:
        heed = (
            'jmIgnoreFoeProb="0.6" jmIgnoreFoeSpeed="14" jmIgnoreJunctionFoeProb="0.5" jmTimegapMinor="0.2" '
            'jmCrossingGap="0" impatience="1" tau="0.6" minGap="0.8"'
        )
        bold = (
            ("car", "passenger", 4.4, 1.8, 20),
            ("truck", "truck", 8.5, 2.5, 6),
            ("motorcycle", "motorcycle", 2.2, 0.8, 20),
            ("bicycle", "bicycle", 1.8, 0.6, 20),
        )
        types += [
            f'<vType id="{kind}_bold" vClass="{kind_of_sumo}" length="{length}" width="{width}" {heed} '
            f"{runs_red.format(after_red)}/>"
            for kind, kind_of_sumo, length, width, after_red in bold
        ]
    weights = {"car": 40, "truck": 9, "motorcycle": 7, "car_red": 37, "truck_red": 3, "motorcycle_red": 4}
    if junction.heedless:
        weights = {"car": 60, "truck": 20, "motorcycle": 20}
    if junction.careless:
        weights = {
            "car": 25,
            "truck": 5,
            "car_bold": 45,
            "truck_bold": 8,
            "motorcycle_bold": 8,
            "bicycle_bold": 9,
        }
    rows: list[tuple[float, str]] = []
    start = {leg.name: f"{leg.name}{'f' if leg.midblock_m else ''}" for leg in junction.legs}
    for leg in junction.legs:
        time = chance.uniform(0, 5)
        while time < end_s - 20:
            kind = chance.choices(list(weights), list(weights.values()))[0]
            towards = chance.choice([other for other in junction.legs if other is not leg])
            if junction.jammed and leg.name != junction.jammed and chance.random() < junction.into_jam:
                towards = next(other for other in junction.legs if other.name == junction.jammed)
            if junction.heedless:
                towards = max(junction.legs, key=lambda other: _apart_deg(leg, other))
            rows.append(
                (
                    time,
                    f'<trip id="v{len(rows)}" type="{kind}" depart="{time:.1f}" from="{start[leg.name]}i" '
                    f'to="{start[towards.name]}o" departLane="best" departSpeed="max" '
                    f'speedFactor="{chance.uniform(0.8, 1.1):.2f}"/>',
                )
            )
            time += chance.expovariate(1 / junction.headway_s)
        time = chance.uniform(0, 5)
        while time < end_s - 60:
            kind = "ped_red" if chance.random() < (0.1 if junction.careless else 0.35) else "ped"
            towards = chance.choice([other for other in junction.legs if other is not leg])
            rows.append(
                (
                    time,
                    f'<person id="p{len(rows)}" type="{kind}" depart="{time:.1f}" departPos="-30">'
                    f'<walk from="{leg.name}i" to="{towards.name}o" arrivalPos="25"/></person>',
                )
            )
            time += chance.expovariate(1 / (10 if junction.careless else 30))
        time = chance.uniform(0, 5)
        while leg.midblock_m and time < end_s - 60:
            rows.append(
                (
                    time,
                    f'<person id="p{len(rows)}" type="ped" depart="{time:.1f}" departPos="-15">'
                    f'<walk from="{leg.name}fi" to="{leg.name}fo" arrivalPos="15"/></person>',
                )
            )
            time += chance.expovariate(1 / (12 if junction.careless else 40))
    path = folder / "demand.rou.xml"
    path.write_text("<routes>" + "".join(types) + "".join(row for _, row in sorted(rows)) + "</routes>")
    return path
