"""Columns of samples: who was where at which instant, the form in which rules read many rows at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from edge.scene import PEDESTRIAN, Kind, Scene

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

KINDS: tuple[Kind, ...] = get_args(Kind)
PEDESTRIAN_CODE = KINDS.index(PEDESTRIAN)


@dataclass(frozen=True, eq=False)
class Samples:
    """One row per road user and instant, in order of time.

    Attributes:
        time: (N,) seconds UTC; never falls.
        track: (N,) the tracker's number.
        kind: (N,) index into ``KINDS``.
        x, y: (N,) centre of the footprint, metres.
        heading_deg: (N,) counter-clockwise from east; NaN where unknown.
        length_m, width_m: (N,) of the footprint.
        sigma_m: (N,) 1-sigma error of the position; NaN where unknown.
        time_sigma_s: (N,) 1-sigma error of the time against the signal clock.
        trusted: (N,) False where positions cannot be trusted.
    """

    time: Floats
    track: Integers
    kind: NDArray[np.int8]
    x: Floats
    y: Floats
    heading_deg: Floats
    length_m: Floats
    width_m: Floats
    sigma_m: Floats
    time_sigma_s: Floats
    trusted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: slice) -> Samples:
        return Samples(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def of_scenes(cls, scenes: Iterable[Scene]) -> Samples:
        """Return the samples of some scenes, in their order."""
        rows = [
            (
                scene.time,
                float(user.track),
                float(KINDS.index(user.kind)),
                user.x,
                user.y,
                user.heading_deg,
                user.length_m,
                user.width_m,
                user.sigma_m,
                scene.time_sigma_s,
                float(scene.trusted),
            )
            for scene in scenes
            for user in scene.users
        ]
        table = np.asarray(rows, dtype=np.float64).reshape(len(rows), 11)
        return cls(
            time=table[:, 0],
            track=table[:, 1].astype(np.int64),
            kind=table[:, 2].astype(np.int8),
            x=table[:, 3],
            y=table[:, 4],
            heading_deg=table[:, 5],
            length_m=table[:, 6],
            width_m=table[:, 7],
            sigma_m=table[:, 8],
            time_sigma_s=table[:, 9],
            trusted=table[:, 10] > 0.5,
        )
