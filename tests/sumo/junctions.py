"""Signalised junctions built by SUMO's netconvert, from a few legs each."""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

LEG_LENGTH_M = 160.0


@dataclass(frozen=True)
class Leg:
    """One arm: its bearing from the centre (degrees counter-clockwise from east) and its lanes.

    ``island_m``: a median of that width, which the crosswalk crosses in two stages. ``midblock_m``: so far
    from the centre people cross where no crosswalk is drawn.
    """

    name: str
    bearing_deg: float
    lanes_in: int = 1
    lanes_out: int = 1
    crosswalk: bool = True
    speed_mps: float = 13.89
    lane_width_m: float = 3.2
    island_m: float = 0.0
    midblock_m: float = 0.0


@dataclass(frozen=True)
class Junction:
    """``step_s`` is how often everybody is seen; ``right_on_red`` the law at every line."""

    name: str
    legs: tuple[Leg, ...]
    drive_on: str = "right"
    step_s: float = 0.1
    right_on_red: str = "prohibited"
    # In which order legs get their green: each alone, or those across from each other.
    layout: str = "opposites"
    # Seconds between vehicles of one leg, on average.
    headway_s: float = 9.0
    # One exit is blocked from time to time, and drivers enter all the same.
    jammed: str = ""
    # How many of those who could go there do: a share, else all exits are as likely.
    into_jam: float = 0.0
    # Everybody goes straight on, whatever the light shows and whoever comes: ways that cross without a bend,
    # seconds apart at random.
    heedless: bool = False
    # Drivers who follow close, and often yield to nobody; cyclists among them. What meets whom how closely is
    # then told too, at half of ``step_s``.
    careless: bool = False
    # Mid-block crossings are drawn as crosswalks without a signal.
    zebras: bool = False


FOUR_LEG = Junction(
    "four-leg", (Leg("N", 90, lanes_in=2), Leg("E", 0), Leg("S", 270, lanes_in=2), Leg("W", 180))
)
SKEWED = Junction(
    "skewed",
    (
        Leg("N", 70, lanes_in=2, lanes_out=2),
        Leg("E", 10),
        Leg("S", 245, lanes_in=2, lanes_out=2),
        Leg("W", 185),
    ),
)
TEE = Junction("tee", (Leg("E", 5, lanes_in=2), Leg("S", 268), Leg("W", 182, crosswalk=False)))
# Never used while the rules were written.
FIVE_LEG = Junction(
    "five-leg",
    (
        Leg("A", 20, lanes_in=2, lanes_out=2, speed_mps=19.44, lane_width_m=3.6),
        Leg("B", 88, speed_mps=8.33, lane_width_m=2.8),
        Leg("C", 150, lanes_in=2, speed_mps=13.89, midblock_m=38.0),
        Leg("D", 205, lanes_out=2, lanes_in=2, speed_mps=19.44, lane_width_m=3.6, crosswalk=False),
        Leg("E", 290, speed_mps=11.11, lane_width_m=3.0),
    ),
    step_s=0.08,
    layout="incoming",
    headway_s=18.0,
)
LEFT_HAND = Junction(
    "left-hand",
    (
        Leg("N", 100, lanes_in=3, lanes_out=2, island_m=3.0, lane_width_m=3.3),
        Leg("E", 5, lanes_in=2, speed_mps=16.67),
        Leg("S", 275, lanes_in=3, lanes_out=2, island_m=3.0, lane_width_m=3.3),
        Leg("W", 190, lanes_in=2, speed_mps=16.67, midblock_m=36.0),
    ),
    drive_on="left",
    step_s=0.12,
)
TURN_ON_RED = Junction(
    "turn-on-red",
    (
        Leg("N", 85, lanes_in=2, lanes_out=2),
        Leg("E", 355, lanes_in=2, lanes_out=2, lane_width_m=3.5, midblock_m=40.0),
        Leg("S", 262, lanes_in=2, lanes_out=2),
        Leg("W", 178, lanes_in=2, lanes_out=2, lane_width_m=3.5),
    ),
    right_on_red="after_stop",
    jammed="E",
)
# Exits that jam, entered without room: a skewed one with lanes side by side, and a T that turns into the jam.
JAMMED = Junction(
    "jammed",
    (
        Leg("N", 70, lanes_in=2, lanes_out=2),
        Leg("E", 10, lanes_in=2, lanes_out=2),
        Leg("S", 245, lanes_in=2, lanes_out=2),
        Leg("W", 185, lanes_in=2, lanes_out=2),
    ),
    jammed="E",
    headway_s=5.0,
    into_jam=0.6,
)
JAMMED_TEE = Junction(
    "jammed-tee",
    (Leg("E", 5, lanes_in=2), Leg("S", 268), Leg("W", 182, crosswalk=False)),
    jammed="W",
    headway_s=4.0,
    into_jam=0.8,
)
# The same streets with drivers who care for nobody: near misses, and pedestrians who are cut off.
CARELESS_FOUR_LEG, CARELESS_SKEWED, CARELESS_TEE = (
    replace(
        each,
        name=f"careless-{each.name}",
        careless=True,
        zebras=True,
        legs=(*each.legs[:-1], replace(each.legs[-1], midblock_m=36.0)),
    )
    for each in (FOUR_LEG, SKEWED, TEE)
)
CARELESS = (CARELESS_FOUR_LEG, CARELESS_SKEWED, CARELESS_TEE)
# Drawn last, when all rules were written: six lanes wide, two of them to turn left; and legs at odd angles.
WIDE = Junction(
    "wide",
    (
        Leg("N", 92, lanes_in=4, lanes_out=2, lane_width_m=3.4, island_m=2.5, speed_mps=16.67),
        Leg("E", 2, lanes_in=2, lanes_out=2, midblock_m=44.0),
        Leg("S", 272, lanes_in=4, lanes_out=2, lane_width_m=3.4, island_m=2.5, speed_mps=16.67),
        Leg("W", 182, lanes_in=2, lanes_out=2),
    ),
    headway_s=6.0,
)
OFFSET = Junction(
    "offset",
    (
        Leg("N", 118, speed_mps=11.11, lane_width_m=3.0),
        Leg("E", 12, lanes_in=2),
        Leg("S", 255, speed_mps=8.33, lane_width_m=2.8, midblock_m=34.0),
        Leg("W", 170, lanes_in=2, lanes_out=2),
    ),
    layout="incoming",
    right_on_red="after_stop",
)
UNSEEN = (WIDE, OFFSET)
JUNCTIONS = (FOUR_LEG, SKEWED, TEE, FIVE_LEG, LEFT_HAND, TURN_ON_RED)


def build(junction: Junction, folder: Path, *, sumo_bin: Path) -> Path:
    """Write the junction's network into ``folder`` and return its path."""
    nodes = ['<node id="J" x="0" y="0" type="traffic_light"/>']
    edges: list[str] = []
    crossings: list[str] = []
    for leg in junction.legs:
        _leg(leg, nodes, edges, crossings, near_side=1.0 if junction.drive_on == "left" else -1.0)
    parts = {"nod": ("nodes", nodes), "edg": ("edges", edges), "con": ("connections", crossings)}
    for suffix, (root, rows) in parts.items():
        (folder / f"net.{suffix}.xml").write_text(f"<{root}>{''.join(rows)}</{root}>")
    network = folder / "net.xml"
    handed = "--lefthand" if junction.drive_on == "left" else ""
    subprocess.run(
        f"{sumo_bin / 'netconvert'} -n net.nod.xml -e net.edg.xml -x net.con.xml --no-turnarounds {handed} "
        f"--tls.layout {junction.layout} "
        "--tls.crossing-min.time 9 --tls.crossing-clearance.time 5 "
        "-o net.xml".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return network


def _leg(leg: Leg, nodes: list[str], edges: list[str], crossings: list[str], *, near_side: float) -> None:
    angle = math.radians(leg.bearing_deg)
    ahead = (math.cos(angle), math.sin(angle))

    def at(far: float, aside: float) -> str:
        return f"{far * ahead[0] - aside * ahead[1]:.2f},{far * ahead[1] + aside * ahead[0]:.2f}"

    def node(name: str, far: float, kind: str) -> str:
        return f'<node id={quoteattr(name)} x="{far * ahead[0]:.2f}" y="{far * ahead[1]:.2f}" type="{kind}"/>'

    common = f'speed="{leg.speed_mps}" sidewalkWidth="2.5" width="{leg.lane_width_m}"'

    def both(near: str, far: str, start: float, end: float, suffix: str) -> None:
        aside = leg.island_m / 2 * near_side
        shapes = {
            "i": f' shape="{at(end, -aside)} {at(start, -aside)}"',
            "o": f' shape="{at(start, aside)} {at(end, aside)}"',
        }
        for way, (source, target), lanes in (
            ("i", (far, near), leg.lanes_in),
            ("o", (near, far), leg.lanes_out),
        ):
            edges.append(
                f'<edge id="{leg.name}{suffix}{way}" from="{source}" to="{target}" numLanes="{lanes}" '
                f"{common}{shapes[way] if leg.island_m else ''}/>"
            )

    nodes.append(node(leg.name, LEG_LENGTH_M, "priority"))
    if leg.midblock_m:
        # The first of its edges is the one at the junction, named as without a mid-block crossing.
        nodes.append(node(f"{leg.name}m", leg.midblock_m, "priority"))
        both("J", f"{leg.name}m", 0.0, leg.midblock_m, "")
        both(f"{leg.name}m", leg.name, leg.midblock_m, LEG_LENGTH_M, "f")
        crossings.append(
            f'<crossing node="{leg.name}m" edges="{leg.name}fi {leg.name}fo" width="3" priority="true"/>'
        )
    else:
        both("J", leg.name, 0.0, LEG_LENGTH_M, "")
    if leg.crosswalk and leg.island_m:
        crossings.append(f'<crossing node="J" edges="{leg.name}i" width="4"/>')
        crossings.append(f'<crossing node="J" edges="{leg.name}o" width="4"/>')
    elif leg.crosswalk:
        crossings.append(f'<crossing node="J" edges="{leg.name}i {leg.name}o" width="4"/>')
