"""Advice in a sentence, with its evidence."""

from __future__ import annotations

from broker.collector.publication.learning import Advice
from broker.collector.review import words
from broker.collector.review.language import Language
from broker.collector.wording import N_

_WITHOUT = N_(
    "at {site}, rejecting {measure} {sign} {value} would have removed {rejected_removed} of {rejected} "
    "rejected and {confirmed_removed} of {confirmed} confirmed ({rule})"
)
_WITH = N_(
    "at {site}, rejecting {measure} {sign} {value} would have removed {rejected_removed} of {rejected} "
    "rejected and {confirmed_removed} of {confirmed} confirmed "
    "({rule}; thresholds.{setting} in its site file)"
)


def sentence(one: Advice, say: Language = words.ENGLISH) -> str:
    """Return what a threshold would have done, such as "at main-5th, rejecting PET > 1.2 s would have …"."""
    return say(
        _WITH if one.setting else _WITHOUT,
        site=one.site,
        measure=say.within(words.MEASURES[one.measure]),
        sign=">" if one.side == "above" else "<",
        value=words.amount(one.measure, one.threshold, say),
        rejected_removed=one.rejected_removed,
        rejected=one.rejected,
        confirmed_removed=one.confirmed_removed,
        confirmed=one.confirmed,
        rule=say.within(words.RULES[one.rule]),
        setting=one.setting,
    )
