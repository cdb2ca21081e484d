"""Signalised junctions built by SUMO's netconvert, from a few legs each."""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

LEG_LENGTH_M = 160.0


@dataclass(frozen=True)
class Leg:
    """One arm: its bearing from the centre (degrees counter-clockwise from east) and its lanes."""

    name: str
    bearing_deg: float
    lanes_in: int = 1
    lanes_out: int = 1
    crosswalk: bool = True


@dataclass(frozen=True)
class Junction:
    name: str
    legs: tuple[Leg, ...]


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
JUNCTIONS = (FOUR_LEG, SKEWED, TEE)


def build(junction: Junction, folder: Path, *, sumo_bin: Path) -> Path:
    """Write the junction's network into ``folder`` and return its path."""
    nodes = ['<node id="J" x="0" y="0" type="traffic_light"/>']
    edges, crossings = [], []
    for leg in junction.legs:
        angle = math.radians(leg.bearing_deg)
        x, y = LEG_LENGTH_M * math.cos(angle), LEG_LENGTH_M * math.sin(angle)
        nodes.append(f'<node id={quoteattr(leg.name)} x="{x:.2f}" y="{y:.2f}"/>')
        common = 'speed="13.89" sidewalkWidth="2.5"'
        edges.append(f'<edge id="{leg.name}i" from="{leg.name}" to="J" numLanes="{leg.lanes_in}" {common}/>')
        edges.append(f'<edge id="{leg.name}o" from="J" to="{leg.name}" numLanes="{leg.lanes_out}" {common}/>')
        if leg.crosswalk:
            crossings.append(f'<crossing node="J" edges="{leg.name}i {leg.name}o" width="4"/>')
    parts = {"nod": ("nodes", nodes), "edg": ("edges", edges), "con": ("connections", crossings)}
    for suffix, (root, rows) in parts.items():
        (folder / f"net.{suffix}.xml").write_text(f"<{root}>{''.join(rows)}</{root}>")
    network = folder / "net.xml"
    subprocess.run(
        f"{sumo_bin / 'netconvert'} -n net.nod.xml -e net.edg.xml -x net.con.xml --no-turnarounds "
        "-o net.xml".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return network
