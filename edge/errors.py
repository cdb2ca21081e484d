"""Bad input: a file, a flag or a recording that cannot be used.

Every error a user can mend carries ``problems``, one clear line each (file, place, what came, what was
expected). The command line prints them and exits 2; anything without ``problems`` is a defect of ours.
"""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used; ``problems`` holds one line per mistake."""

    def __init__(self, problems: Iterable[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))
