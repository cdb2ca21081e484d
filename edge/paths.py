"""Paths of road users over the ground, thin enough to keep for a report however long the recording."""

from __future__ import annotations

import math

from calibration.site import Point
from edge.scene import Kind, Scene

STEP_M = 0.5
# A map with more lines is a blot; from here on every second one is kept.
MOST_PATHS = 1500
MOST_POINTS = 120
_SHORTEST_M = 2.0


class Paths:
    """Collects the paths of tracks; ``kept`` of every ``of_every`` that were seen."""

    def __init__(self) -> None:
        self._open: dict[int, _Path] = {}
        self._kept: list[_Path] = []
        self._seen = 0
        self.of_every = 1

    @property
    def count(self) -> int:
        """How many confirmed tracks there were."""
        return self._seen

    def add(self, scene: Scene) -> None:
        here = {user.track: user for user in scene.users}
        for number in [number for number in self._open if number not in here]:
            path = self._open[number]
            if scene.time - path.last > 5.0:  # the tracker has given it up by then
                del self._open[number]
                self._keep(path)
        for number, user in here.items():
            found = self._open.get(number)
            if found is None:
                found = self._open[number] = _Path(user.kind)
            found.kind, found.last = user.kind, scene.time
            found.add((user.x, user.y))

    def finish(self) -> list[tuple[Kind, tuple[Point, ...]]]:
        """Return kind and polyline, metres, of each path that is kept; nothing is added after it."""
        for path in self._open.values():
            self._keep(path)
        self._open.clear()
        return [(path.kind, tuple(path.points)) for path in self._kept]

    def _keep(self, path: _Path) -> None:
        self._seen += 1
        if self._seen % self.of_every or path.length_m < _SHORTEST_M:
            return
        self._kept.append(path)
        if len(self._kept) > MOST_PATHS:
            self._kept = self._kept[1::2]
            self.of_every *= 2


class _Path:
    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.points: list[Point] = []
        self.last = -math.inf
        self.length_m = 0.0
        self._step_m = STEP_M

    def add(self, point: Point) -> None:
        gone = math.dist(self.points[-1], point) if self.points else math.inf
        if gone < self._step_m:
            return
        self.length_m += gone if self.points else 0.0
        self.points.append((round(point[0], 2), round(point[1], 2)))
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self._step_m *= 2
