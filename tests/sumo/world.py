"""Run a SUMO junction and write what nearmiss reads, with the truth from SUMO's own lanes and lamps.

The truth here uses no geometry of ours: a vehicle has entered when SUMO moves it from its approach lane to
a lane inside the junction, a pedestrian has stepped onto the carriageway when SUMO moves them from a walking
area to a crossing, and the lamp is what SUMO's signal program shows on that very link.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sumolib

from tests.sumo.demand import write_routes
from tests.sumo.junctions import Junction, build
from tests.sumo.layout import Crossing, Line, crossing_id, read_crossings, stop_lines, write_site

STEP_S = 0.1
RADIUS_M = 60.0
# SUMO signals pedestrians with two colours; the last seconds of their green are our flashing don't walk.
CLEARANCE_S = 5.0
KINDS = {"passenger": "car", "truck": "truck", "motorcycle": "motorcycle", "bus": "bus", "bicycle": "bicycle"}
STATES = {"r": "red", "u": "red_amber", "y": "amber", "g": "green", "G": "green"}


@dataclass
class World:
    """The files of one simulated hour-part, and what really happened in it."""

    folder: Path
    site: Path
    tracks: Path
    signals: Path
    truth: Path
    entries: int = 0
    steps_on: int = 0
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def simulate(junction: Junction, folder: Path, *, seed: int, minutes: float = 10.0) -> World:
    """Simulate ``minutes`` of a junction and write site.toml, tracks.csv, signals.csv and truth.jsonl."""
    import libsumo
    import sumo

    sumo_bin = Path(sumo.SUMO_HOME) / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    network = build(junction, folder, sumo_bin=sumo_bin)
    routes = write_routes(junction, folder, seed=seed, end_s=minutes * 60)
    net = sumolib.net.readNet(str(network), withInternal=True, withPedestrianConnections=True)
    centre = net.getNode("J").getCoord()
    lines = stop_lines(net)
    crossings = read_crossings(net)
    site = write_site(junction, net, lines, crossings, centre, folder)
    libsumo.start(
        f"{sumo_bin / 'sumo'} -n {network} -r {routes} --step-length {STEP_S} --seed {seed} --no-step-log "
        "--no-warnings --collision.action none --time-to-teleport -1 "
        "--lanechange.duration 1.5 --pedestrian.striping.stripe-width 0.5".split()
    )
    world = World(folder, site, folder / "tracks.csv", folder / "signals.csv", folder / "truth.jsonl")
    try:
        _run(libsumo, world, lines, crossings, centre, junction=junction, end_s=minutes * 60)
    finally:
        libsumo.close()
    return world


def _run(
    libsumo: object,
    world: World,
    lines: dict[str, Line],
    crossings: dict[str, Crossing],
    centre: tuple[float, float],
    *,
    junction: Junction,
    end_s: float,
) -> None:
    sim, vehicle, person = libsumo.simulation, libsumo.vehicle, libsumo.person  # type: ignore[attr-defined]
    lights = libsumo.trafficlight  # type: ignore[attr-defined]
    phases = lights.getAllProgramLogics("J")[0].phases
    lane_length = {lane: libsumo.lane.getLength(lane) for lane in lines}  # type: ignore[attr-defined]
    last: dict[str, tuple[str, float, float]] = {}
    on_edge: dict[str, str] = {}
    lamp: dict[str, tuple[str, float]] = {}
    truth: list[dict[str, object]] = []
    numbers: dict[str, int] = {}
    with world.tracks.open("w", newline="") as track_file, world.signals.open("w", newline="") as signal_file:
        tracks, signals = csv.writer(track_file), csv.writer(signal_file)
        tracks.writerow(["time", "track", "kind", "x", "y", "heading_deg", "length_m", "width_m"])
        signals.writerow(["time", "signal_group", "state"])
        while sim.getTime() < end_s:
            libsumo.simulationStep()  # type: ignore[attr-defined]
            now = sim.getTime()
            # The lamps read after a step are those that held from its start.
            states = _groups(lights, phases, lines, crossings, now)
            for group, state in states.items():
                if group not in lamp or lamp[group][0] != state:
                    lamp[group] = (state, now - STEP_S)
                    signals.writerow([f"{now - STEP_S:.2f}", group, state])
            rows = []
            for name in vehicle.getIDList():
                x, y = vehicle.getPosition(name)
                lane, speed = vehicle.getLaneID(name), vehicle.getSpeed(name)
                kind = KINDS[vehicle.getVehicleClass(name)]
                before = last.get(name)
                if before and before[0] in lines and lane.startswith(":J"):
                    left = lane_length[before[0]] - before[1]
                    share = min(max(left / max(speed * STEP_S, 1e-6), 0.0), 1.0)
                    time = now - STEP_S + share * STEP_S
                    world.entries += 1
                    state, since = lamp[before[0]]
                    rule = {"red": "red_light_entry", "amber": "amber_entry"}.get(state)
                    if rule:
                        truth.append(_event(rule, time, before[0], kind, state, since))
                last[name] = (lane, vehicle.getLanePosition(name), speed)
                length, width = vehicle.getLength(name), vehicle.getWidth(name)
                angle = math.radians(90 - vehicle.getAngle(name))
                x, y = (
                    x - math.cos(angle) * length / 2 - centre[0],
                    y - math.sin(angle) * length / 2 - centre[1],
                )
                rows.append((name, kind, x, y, math.degrees(angle), length, width))
            for name in person.getIDList():
                x, y = person.getPosition(name)
                edge = person.getRoadID(name)
                if edge in crossings and on_edge.get(name) != edge:
                    world.steps_on += 1
                    place = crossing_id(edge)
                    state, since = lamp[place]
                    rule = {"red": "pedestrian_against_signal", "amber": "pedestrian_late_start"}.get(state)
                    if rule:
                        truth.append(_event(rule, now - STEP_S / 2, place, "pedestrian", state, since))
                on_edge[name] = edge
                angle_deg = 90 - person.getAngle(name)
                rows.append((name, "pedestrian", x - centre[0], y - centre[1], angle_deg, 0.5, 0.5))
            for name, kind, x, y, heading, length, width in rows:
                if math.hypot(x, y) > RADIUS_M:
                    continue
                number = numbers.setdefault(name, len(numbers) + 1)
                heading = (heading + 180) % 360 - 180
                tracks.writerow(
                    [f"{now:.2f}", number, kind, f"{x:.3f}", f"{y:.3f}", f"{heading:.2f}", length, width]
                )
                world.rows += 1
    truth.sort(key=lambda event: str(event["time"]))
    with world.truth.open("w") as file:
        for n, event in enumerate(truth, 1):
            world.counts[str(event["rule"])] = world.counts.get(str(event["rule"]), 0) + 1
            file.write(json.dumps({**event, "n": n, "site": f"sumo-{junction.name}"}) + "\n")


def _groups(
    lights: object, phases: object, lines: dict[str, Line], crossings: dict[str, Crossing], now: float
) -> dict[str, str]:
    state = lights.getRedYellowGreenState("J")  # type: ignore[attr-defined]
    groups = {}
    for line in lines.values():
        colours = {STATES[state[link]] for link in line.links}
        groups[line.lane] = colours.pop() if len(colours) == 1 else "unknown"
    # Seconds until each pedestrian link turns red: the rest of this phase and the green phases after it.
    index, until = lights.getPhase("J"), lights.getNextSwitch("J") - now  # type: ignore[attr-defined]
    for crossing in crossings.values():
        if state[crossing.link] not in "gG":
            groups[crossing_id(crossing.edge)] = "red"
            continue
        left = until
        for ahead in _after(phases, index):
            if ahead.state[crossing.link] not in "gG":
                break
            left += ahead.duration
        groups[crossing_id(crossing.edge)] = "amber" if left <= CLEARANCE_S + 1e-6 else "green"
    return groups


def _after(phases: object, index: int) -> Iterator[object]:
    count = len(phases)  # type: ignore[arg-type]
    for step in range(1, count):
        yield phases[(index + step) % count]  # type: ignore[index]


def _event(rule: str, time: float, place: str, road_user: str, state: str, since: float) -> dict[str, object]:
    def rfc3339(seconds: float) -> str:
        minutes, rest = divmod(seconds, 60)
        return f"1970-01-01T{int(minutes // 60):02d}:{int(minutes % 60):02d}:{rest:06.3f}Z"

    into = {
        "red_light_entry": "into_red_s",
        "amber_entry": "into_amber_s",
        "pedestrian_against_signal": "into_dont_walk_s",
        "pedestrian_late_start": "into_clearance_s",
    }[rule]
    return {
        "v": 1,
        "n": 0,
        "site": "",
        "node": "sumo",
        "rule": rule,
        "outcome": "occurred",
        "time": rfc3339(time),
        "time_sigma_s": 0.05,
        "place": place,
        "road_user": road_user,
        "signal": {"group": place, "state": state, "since": rfc3339(since), "source": "file"},
        "measures": {into: {"value": round(time - since, 3), "sigma": 0.05}},
        "clip": None,
        "detector": "sumo",
        "software": "nearmiss 0.1.0",
    }
