"""Advice in a sentence, with its evidence."""

from __future__ import annotations

from broker.collector.publication.learning import Advice
from broker.collector.review import words


def sentence(one: Advice) -> str:
    """Return what a threshold would have done, such as "at main-5th, rejecting PET > 1.2 s would have …"."""
    sign = ">" if one.side == "above" else "<"
    value = words.measure(one.measure, one.threshold, 0.0).split(" ±")[0]
    unit = words.measure(one.measure, one.threshold, 0.0).rsplit(" ", 1)[-1]
    where = f"; thresholds.{one.setting} in its site file" if one.setting else ""
    what = words.MEASURES[one.measure].lower()
    return (
        f"at {one.site}, rejecting {what} {sign} {value} {unit} would have removed "
        f"{one.rejected_removed} of {one.rejected} rejected and {one.confirmed_removed} of {one.confirmed} "
        f"confirmed ({words.RULES[one.rule].lower()}{where})"
    )
