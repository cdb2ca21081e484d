"""How far decisions made from the drawings agree with the truth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import sqrt
from pathlib import Path


@dataclass(frozen=True)
class Score:
    """Agreement over all sheets (``unclear`` is none), and the numbers of those that went wrong."""

    sheets: int
    right: int
    unclear: tuple[int, ...]
    confirmed_wrongly: tuple[int, ...]
    rejected_wrongly: tuple[int, ...]

    @property
    def share(self) -> float:
        return self.right / self.sheets

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.sheets)


def score(decisions: Path, truth: Path) -> Score:
    """Compare a filled-in form with the truth.

    Raises:
        ValueError: with every line that cannot be read.
    """
    true = {int(row["number"]): row["true"] for row in _rows(truth)}
    said: dict[int, str] = {}
    problems = []
    for row in _rows(decisions):
        decision = row["decision"].strip().lower()
        if decision not in ("confirm", "reject", "unclear"):
            came = f"{row['number']}: {row['decision']!r}"
            problems.append(f"{decisions}: {came} is not confirm, reject or unclear")
        said[int(row["number"])] = decision
    problems += [f"{decisions}: {number} is missing" for number in true if number not in said]
    if problems:
        raise ValueError("\n".join(problems))
    wrong = [number for number in true if said[number] not in (true[number], "unclear")]
    return Score(
        len(true),
        sum(said[number] == true[number] for number in true),
        tuple(number for number in true if said[number] == "unclear"),
        tuple(number for number in wrong if said[number] == "confirm"),
        tuple(number for number in wrong if said[number] == "reject"),
    )


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    share = successes / trials
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / (1 + z**2 / trials)
    return middle - half, middle + half


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
