"""When a node offers a plate: the plan at once and daily; a picture once there is one, a quieter one after a
day, and one each fortnight.

A picture is seen by nobody but the person who approves it (broker/collector/plates.py); until then the clips
that name it are drawn on its plan. Each one is work for a person, and a collector keeps it 30 days.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from broker.drawing import Plate

PLAN_EVERY_S = 86_400.0
PICTURE_EVERY_S = 14 * 86_400.0
# The first picture is of the first ten minutes, at whatever hour; once a day is over there is a quietest one.
QUIETER_AFTER_S = 25 * 3600.0
# How often it is asked whether there is a picture by now.
ASK_EVERY_S = 60.0


class PlateOffer:
    """Says which plate is to be sent, and when; it has no clock but the frames' own."""

    def __init__(self, mode: Literal["scene", "schematic", "none"]) -> None:
        self._mode = mode
        self._ask_s = self._plan_s = self._picture_s = float("-inf")
        self._pictured = False

    def take(self, time: float, plate: Callable[[], Plate]) -> Plate | None:
        """Return the plate to send at an instant, None where none is due."""
        if self._mode == "none" or time < self._ask_s:
            return None
        self._ask_s = time + ASK_EVERY_S
        if self._mode == "scene" and time >= self._picture_s:
            made = plate()
            if made.background is not None:
                self._picture_s = time + (PICTURE_EVERY_S if self._pictured else QUIETER_AFTER_S)
                self._pictured = True
                return made
        if not self._pictured and time >= self._plan_s:
            self._plan_s = time + PLAN_EVERY_S
            return plate()
        return None
