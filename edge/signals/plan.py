"""A fixed-time plan: what each group shows at any instant, computed from its cycle."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from calibration.site import PlannedGroup, SignalPlan, Site, problem_lines
from edge.errors import InputError
from edge.scene import SignalReading, State
from edge.signals.history import unknown
from edge.signals.lines import shortened


class PlanSignals:
    """The signals of a fixed-time plan; satisfies ``edge.scene.Signals``.

    Groups the plan does not name are unknown. A group that never changes has its state without an onset.
    """

    def __init__(self, plan: SignalPlan) -> None:
        self._start = plan.epoch.timestamp() + plan.offset_s
        self._cycle_s = plan.cycle_s
        self._sigma_s = plan.sigma_s
        self._changes = {group.signal_group: _real_changes(group) for group in plan.groups}

    @property
    def groups(self) -> frozenset[str]:
        """The groups of which anything is known."""
        return frozenset(self._changes)

    def at(self, group: str, time: float) -> SignalReading:
        """Return what a group shows at an instant; state unknown where the plan does not name it."""
        changes = self._changes.get(group, ())
        if not changes or not math.isfinite(time):
            return unknown(group)
        if len(changes) == 1:
            return SignalReading(group, changes[0][1], None, math.inf, "plan")
        cycle = math.floor((time - self._start) / self._cycle_s)
        # The quotient may fall on the other side of a cycle's end than `since` does, hence one cycle more.
        for number in (cycle + 1, cycle, cycle - 1, cycle - 2):
            for at_s, state in reversed(changes):
                since = self._since(number, at_s)
                if since <= time:
                    return SignalReading(group, state, since, self._sigma_s, "plan")
        raise AssertionError("some change lies within two cycles before any instant")

    def changes(self, group: str, start: float, end: float) -> Sequence[SignalReading]:
        """Return the changes with ``start < since <= end``, in order of time."""
        changes = self._changes.get(group, ())
        if len(changes) < 2 or not (math.isfinite(start) and math.isfinite(end)):
            return ()
        first = math.floor((start - self._start) / self._cycle_s) - 1
        last = math.floor((end - self._start) / self._cycle_s) + 1
        every = (
            SignalReading(group, state, self._since(number, at_s), self._sigma_s, "plan")
            for number in range(first, last + 1)
            for at_s, state in changes
        )
        return tuple(each for each in every if each.since is not None and start < each.since <= end)

    def _since(self, cycle: int, at_s: float) -> float:
        return self._start + cycle * self._cycle_s + at_s


def load_plan(path: Path, *, site: Site) -> PlanSignals:
    """Read a plan from a file of its own: the table ``[signal_plan]`` of a site file, at the top level.

    Raises:
        InputError: every mistake in the file at once.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    # As in the site file: whoever moves the table to a file of its own may well keep its name.
    inner = document.get("signal_plan")
    document = inner if len(document) == 1 and isinstance(inner, dict) else document
    lacking = [f"{path}: {line}" for line in _lacking(document, site)]
    try:
        plan = SignalPlan.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise InputError([*problem_lines(path, error), *lacking]) from error
    if lacking:
        raise InputError(lacking)
    return PlanSignals(plan)


def _lacking(document: dict[str, object], site: Site) -> Iterator[str]:
    """Name the groups of a plan, sound or not, that the site lacks."""
    groups = document.get("groups")
    known = ", ".join(sorted(site.signal_groups)) or "none"
    for group in groups if isinstance(groups, list) else ():
        name = group.get("signal_group") if isinstance(group, dict) else None
        if isinstance(name, str) and name not in site.signal_groups:
            yield f"signal_group {shortened(name)} is not one of the site's: {known}"


def _real_changes(group: PlannedGroup) -> tuple[tuple[float, State], ...]:
    """Return the changes without those into the state already shown, also from one cycle to the next."""
    rows = [(change.at_s, change.state) for change in group.changes]
    real = tuple(row for index, row in enumerate(rows) if rows[index - 1][1] != row[1])
    return real or (rows[0],)
