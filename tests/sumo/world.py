"""Run a SUMO junction and write what nearmiss reads, and what really happened (``truths``)."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sumolib

from tests.sumo.demand import write_routes
from tests.sumo.junctions import Junction, build
from tests.sumo.layout import Crossing, Line, box, crossing_id, read_crossings, stop_lines, write_site
from tests.sumo.truths import Lamp, Truths

RADIUS_M = 60.0
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
    network's coordinates have our origin; ``unsure``: entries that may or may not block the box.
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
    unsure: list[float] = field(default_factory=list)


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
        f"{sumo_bin / 'sumo'} -n {network} -r {routes} --step-length {junction.step_s} --seed {seed} "
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
        step_s=junction.step_s,
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
    lights, step_s = libsumo.trafficlight, junction.step_s
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
            for name, kind, x, y, heading, length, width in rows:
                x, y = x - centre[0], y - centre[1]
                if math.hypot(x, y) > RADIUS_M:
                    continue
                number = numbers.setdefault(name, len(numbers) + 1)
                heading = (heading + 180) % 360 - 180
                tracks.writerow(
                    [f"{now:.2f}", number, kind, f"{x:.3f}", f"{y:.3f}", f"{heading:.2f}", length, width]
                )
                world.rows += 1
    world.counts = truths.write(world.truth, site=f"sumo-{junction.name}")
    world.entries, world.steps_on = truths.entries, truths.steps_on
    world.rears, world.unsure = truths.rears, truths.unsure
    _leave_out(world.tracks, {str(numbers[name]) for name in truths.ambiguous if name in numbers})


def _leave_out(path: Path, numbers: set[str]) -> None:
    """Take tracks out of a file."""
    kept = [line for line in path.read_text().splitlines(True) if line.split(",", 2)[1] not in numbers]
    path.write_text("".join(kept))


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
