"""Run a SUMO junction and write what nearmiss reads, and what really happened (``truths``)."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely
import shapely.affinity
import sumolib

from tests.sumo.demand import write_routes
from tests.sumo.junctions import Junction, build
from tests.sumo.layout import Crossing, Line, box, crossing_id, read_crossings, stop_lines, write_site
from tests.sumo.moves import OFF_ROAD, Moves
from tests.sumo.near_misses import near_misses
from tests.sumo.truths import Lamp, Truths, rfc3339
from tests.sumo.yielding import failures_to_yield

RADIUS_M = 60.0
# SUMO's bits: safe behind others, accelerates and brakes as it can, stops at red, but yields to nobody.
YIELDS_TO_NOBODY = 1 + 2 + 4 + 16 + 32
SSM = (
    "--device.ssm.measures TTC,DRAC,PET --device.ssm.thresholds 3.0,3.0,5.0 --device.ssm.range 60 "
    "--device.ssm.extratime 5"
)
# One exit stands for the first seconds of each of these.
JAM_EVERY_S, JAM_S = 75.0, 45.0
# SUMO signals pedestrians with two colours; the last seconds of their green are our flashing don't walk.
CLEARANCE_S = 5.0
KINDS = {"passenger": "car", "truck": "truck", "motorcycle": "motorcycle", "bus": "bus", "bicycle": "bicycle"}
STATES = {"r": "red", "s": "red", "u": "red_amber", "y": "amber", "g": "green", "G": "green"}


@dataclass
class World:
    """The files of one simulated hour-part, and what really happened in it.

    ``numbers`` are those of SUMO's names in tracks.csv; ``rears``: name, approach lane and the instant at
    which its rear was over the stop line; ``ssm`` what SUMO's SSM device wrote, None where it was not asked;
    ``inner`` the lanes inside the junction each vehicle drove on, in order; ``centre`` is where the
    network's coordinates have our origin; ``unsure``: how many events SUMO
    itself leaves open; ``stood_at_kerb``: how many stood in the first metre of a crossing;
    ``left_open``: how many near misses and failures to yield are too near a threshold to say.
    """

    folder: Path
    site: Path
    tracks: Path
    signals: Path
    truth: Path
    entries: int = 0
    steps_on: int = 0
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    rears: list[tuple[str, str, float]] = field(default_factory=list)
    ssm: Path | None = None
    inner: dict[str, list[str]] = field(default_factory=dict)
    centre: tuple[float, float] = (0.0, 0.0)
    unsure: int = 0
    stood_at_kerb: int = 0
    left_open: dict[str, int] = field(default_factory=dict)


def simulate(
    junction: Junction, folder: Path, *, seed: int, minutes: float = 10.0, ssm: bool = False
) -> World:
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
    asked = f" --device.ssm.probability 1 --device.ssm.file {folder / 'ssm.xml'} {SSM}" if ssm else ""
    libsumo.start(
        f"{sumo_bin / 'sumo'} -n {network} -r {routes} --step-length {_step_s(junction)} --seed {seed} "
        "--no-step-log --no-warnings --collision.action none --time-to-teleport -1 "
        f"--lanechange.duration 1.5 --pedestrian.striping.stripe-width 0.5{asked}".split()
    )
    world = World(folder, site, folder / "tracks.csv", folder / "signals.csv", folder / "truth.jsonl")
    world.ssm = folder / "ssm.xml" if ssm else None
    world.centre = centre
    truths = Truths(
        lines=lines,
        crossings=crossings,
        near_side="l" if junction.drive_on == "left" else "r",
        right_on_red=junction.right_on_red,
        box=box(net, crossings),
        step_s=_step_s(junction),
        zebras=junction.zebras,
    )
    try:
        _run(libsumo, world, truths, lines, crossings, centre, junction=junction, end_s=minutes * 60)
    finally:
        libsumo.close()
    return world


def _run(
    libsumo: Any,
    world: World,
    truths: Truths,
    lines: dict[str, Line],
    crossings: dict[str, Crossing],
    centre: tuple[float, float],
    *,
    junction: Junction,
    end_s: float,
) -> None:
    sim, vehicle, person = libsumo.simulation, libsumo.vehicle, libsumo.person
    lights, step_s = libsumo.trafficlight, _step_s(junction)
    moves: dict[str, Moves] = {}
    if junction.right_on_red != "prohibited":
        _allow_turns_on_red(libsumo, lines, near_side="l" if junction.drive_on == "left" else "r")
    phases = lights.getAllProgramLogics("J")[0].phases
    lamps: dict[str, Lamp] = {}
    numbers = world.numbers
    with world.tracks.open("w", newline="") as track_file, world.signals.open("w", newline="") as signal_file:
        tracks, signals = csv.writer(track_file), csv.writer(signal_file)
        tracks.writerow(["time", "track", "kind", "x", "y", "heading_deg", "length_m", "width_m"])
        signals.writerow(["time", "signal_group", "state"])
        while sim.getTime() < end_s:
            if junction.jammed:
                stands = sim.getTime() % JAM_EVERY_S < JAM_S
                libsumo.edge.setMaxSpeed(f"{junction.jammed}o", 0.001 if stands else 13.89)
            libsumo.simulationStep()
            now = sim.getTime()
            # The lamps read after a step are those that held from its start.
            for group, state in _groups(lights, phases, lines, crossings, now).items():
                if group not in lamps or lamps[group].state != state:
                    lamps[group] = Lamp(state, now - step_s)
                    signals.writerow([f"{now - step_s:.2f}", group, state])
            for name in sim.getDepartedIDList() if junction.careless else ():
                if vehicle.getTypeID(name).endswith("_bold") and int(name[1:]) % 3 == 0:
                    vehicle.setSpeedMode(name, YIELDS_TO_NOBODY)
            rows = []
            names = vehicle.getIDList()
            for name in names:
                kind = KINDS[vehicle.getVehicleClass(name)]
                length, width = vehicle.getLength(name), vehicle.getWidth(name)
                angle = math.radians(90 - vehicle.getAngle(name))
                x, y = vehicle.getPosition(name)
                middle = (x - math.cos(angle) * length / 2, y - math.sin(angle) * length / 2)
                truths.vehicle(vehicle, name, now, lamps, kind, middle)
                lane = vehicle.getLaneID(name)
                if lane.startswith(":J") and lane not in world.inner.setdefault(name, []):
                    world.inner[name].append(lane)
                rows.append((name, kind, *middle, math.degrees(angle), length, width))
            truths.forget(set(names))
            for name in person.getIDList():
                truths.person(person, name, now, lamps)
                x, y = person.getPosition(name)
                rows.append((name, "pedestrian", x, y, 90 - person.getAngle(name), 0.5, 0.5))
            # Truths of two are computed on every step, and everybody is seen on every second.
            seen = not junction.careless or round(now / step_s) % 2 == 0
            for name, kind, x, y, heading, length, width in rows:
                x, y = x - centre[0], y - centre[1]
                if math.hypot(x, y) > RADIUS_M:
                    continue
                if junction.careless:
                    own = moves.setdefault(name, Moves(name, kind, length, width))
                    _move(own, person if kind == "pedestrian" else vehicle, crossings, now, x, y, heading)
                if not seen:
                    continue
                number = numbers.setdefault(name, len(numbers) + 1)
                heading = (heading + 180) % 360 - 180
                tracks.writerow(
                    [f"{now:.2f}", number, kind, f"{x:.3f}", f"{y:.3f}", f"{heading:.2f}", length, width]
                )
                world.rows += 1
    if junction.careless:
        _of_two(moves, truths, centre)
    world.counts = truths.write(world.truth, site=f"sumo-{junction.name}")
    world.entries, world.steps_on = truths.entries, truths.steps_on
    world.rears, world.unsure = truths.rears, truths.unsure
    world.stood_at_kerb, world.left_open = truths.stood_at_kerb, dict(truths.left_open)


def _step_s(junction: Junction) -> float:
    return junction.step_s / 2 if junction.careless else junction.step_s


def _move(
    own: Moves,
    theirs: Any,
    crossings: dict[str, Crossing],
    now: float,
    x: float,
    y: float,
    heading_deg: float,
) -> None:
    """Remember where SUMO has somebody, and how far out on a crossing."""
    out_m, edge = OFF_ROAD, theirs.getRoadID(own.name)
    crossing = crossings.get(edge) if own.kind == "pedestrian" else None
    if crossing is not None:
        position = theirs.getLanePosition(own.name)
        out_m = min(position, shapely.LineString(crossing.centre_line).length - position)
    own.steps.append((now, x, y, math.radians(heading_deg), theirs.getSpeed(own.name), out_m))
    own.edges.append(edge)


def _of_two(moves: dict[str, Moves], truths: Truths, centre: tuple[float, float]) -> None:
    """Add the near misses and the failures to yield."""
    trips = [each.table() for each in moves.values() if len(each.steps) > 4]
    away = (-centre[0], -centre[1])
    areas = {name: shapely.affinity.translate(area, *away) for name, area in truths.outlines.items()}
    for near in near_misses(trips, areas):
        truths.left_open["near_miss"] += near.unsure
        for time, place in itertools.product(near.times, near.places):
            event = {"rule": "near_miss", "time": rfc3339(time), "place": place}
            event |= {"road_user": near.kinds[0], "road_user2": near.kinds[1]}
            truths.add({**event, "outcome": "undecidable"} if near.unsure else event)
    for cut_off in failures_to_yield(trips, truths.started, areas):
        truths.left_open["failure_to_yield"] += cut_off.unsure
        event = {"rule": "failure_to_yield", "time": rfc3339(cut_off.time), "place": cut_off.place}
        event |= {"road_user": cut_off.kind}
        truths.add({**event, "outcome": "undecidable"} if cut_off.unsure else event)


def _allow_turns_on_red(libsumo: Any, lines: dict[str, Line], *, near_side: str) -> None:
    """Let everybody turn to the near side on red, after a stop (SUMO's 's')."""
    turns = set()
    for line in lines.values():
        for link, direction in zip(line.links, line.directions.values(), strict=True):
            if direction == near_side:
                turns.add(link)
    [logic] = libsumo.trafficlight.getAllProgramLogics("J")
    for phase in logic.phases:
        state = list(phase.state)
        for link in turns:
            state[link] = "s" if state[link] == "r" else state[link]
        phase.state = "".join(state)
    libsumo.trafficlight.setProgramLogic("J", logic)


def _groups(
    lights: Any, phases: Any, lines: dict[str, Line], crossings: dict[str, Crossing], now: float
) -> dict[str, str]:
    state = lights.getRedYellowGreenState("J")
    groups = {}
    for line in lines.values():
        colours = {STATES[state[link]] for link in line.links}
        groups[line.lane] = colours.pop() if len(colours) == 1 else "unknown"
    # Seconds until each pedestrian link turns red: the rest of this phase and the green phases after it.
    index, until = lights.getPhase("J"), lights.getNextSwitch("J") - now
    for crossing in crossings.values():
        if crossing.link is None:
            continue
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


def _after(phases: Any, index: int) -> Iterator[Any]:
    count = len(phases)
    for step in range(1, count):
        yield phases[(index + step) % count]
