"""English that people are shown: marked where it stands, said in their language where it is shown.

``python -m broker.collector.review.catalogue`` looks for ``N_`` and ``Told``.
"""

from __future__ import annotations


def N_(text: str) -> str:
    """Return the text as it is: it is looked up where it is shown."""
    return text


class Told(str):
    """A sentence in English that remembers what was put into it, so that it can be said in another language.

    ``Told("{name}: there is no such account", name="kim")``
    """

    text: str
    values: dict[str, object]

    def __new__(cls, text: str, **values: object) -> Told:
        made = super().__new__(cls, text.format(**values))
        made.text, made.values = text, values
        return made
