"""Ask every address of the review page at random, by what it says of itself (OpenAPI), with schemathesis.

Each address is asked as it describes itself, against it, and with one word that is odd; with names of its
own invention and with those of an event, a clip and a plate there are. Found is whatever the description
does not tell: a code, a kind of content, a header, a record that is another, something wrong that was taken,
and above all an answer of 500.

    python -m tests.broker.review_schema --examples 200 [--database postgresql+psycopg://...] [--role admin]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from broker.collector.review.guard import COOKIE
from broker.collector.review.roles import RANKS
from tests.broker.test_review_roles import HERE, House

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
# Words that have broken something somewhere; NUL is none for PostgreSQL.
ODD = [
    "\0",
    "a\0b",
    "\uffff",
    "'",
    '"><script>',
    "{{7*7}}",
    "%00",
    "../..",
    "\r\nx: y",
    "-1",
    "1e400",
]
ODD += ["9" * 30, "a" * 5000, "\u202e\u0301" * 40, "*", "%s%n", "٣", "NaN", "null", "true"]
_QUIET: Any = {
    "database": None,
    "deadline": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
    "verbosity": Verbosity.quiet,
}
# What ends the session one asks with: each time with a new one.
ENDS = {"/logout", "/account/password"}


@dataclass
class Asked:
    """How often each answer came, and what was not as it was described."""

    codes: Counter[tuple[str, int]]
    problems: list[str]


def ask(house: House, role: str | None, *, examples: int, odd: int = len(ODD), seed: int = 0) -> Asked:
    """Ask every address as somebody with this role, None as nobody, ``examples`` times in each way.

    Args:
        odd: how many of the odd words are put into each field.
    """
    base = f"http://127.0.0.1:{house.server.port}"
    config = schemathesis.Config.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}}
    )
    schema = schemathesis.openapi.from_dict(_described(house, base), config=config)
    asker = Asker(house, base, role, examples, seed)
    for found in schema.get_all_operations():
        operation = found.ok()
        for names in _names(house, operation.path):
            more = {} if names is None else {"path_parameters": names}
            for mode in GenerationMode:
                asker.at_random(operation, operation.as_strategy(generation_mode=mode, **more))
            asker.oddly(operation.as_strategy(generation_mode=GenerationMode.POSITIVE, **more), ODD[:odd])
    return asker.asked


class Asker:
    """Asks as one somebody, over one connection."""

    def __init__(self, house: House, base: str, role: str | None, examples: int, seed: int) -> None:
        self._house, self._base, self._role = house, base, role
        self._examples, self._seed = examples, seed
        self._session = requests.Session()
        self.asked = Asked(Counter(), [])

    def at_random(self, operation: Any, cases: SearchStrategy[Case]) -> None:
        @given(case=cases)
        @settings(**_QUIET, max_examples=self._examples, derandomize=self._seed == 0)
        def once(case: Case) -> None:
            self._ask(case, CHECKS)

        with contextlib.suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked for
            once()

    def oddly(self, cases: SearchStrategy[Case], words: Sequence[str]) -> None:
        """Put each odd word into each field of one request."""

        # The first drawn is the shortest, without what may be left out; the last of a few has more.
        drawn: list[Case] = []

        @given(case=cases)
        @settings(**_QUIET, max_examples=5, derandomize=True)
        def draw(case: Case) -> None:
            drawn.append(case)

        draw()
        for case in sorted(drawn, key=_fields)[-1:]:
            for part in (case.query, case.body):
                for name in sorted(part) if isinstance(part, dict) else ():
                    meant = part[name]
                    for odd in words:
                        part[name] = odd
                        self._ask(case, CHECKS[:-2])  # odd may well be allowed
                    part[name] = meant

    def _ask(self, case: Case, wanted: list[Any]) -> None:
        headers = {"Sec-Fetch-Site": "same-origin"}
        if self._role is not None:
            if case.operation.path in ENDS:
                self._house.begin(self._role)
            headers["Cookie"] = f"{COOKIE}={self._house.sessions[self._role]}"
        response = case.call(
            base_url=self._base, session=self._session, headers=headers, allow_redirects=False, timeout=30
        )
        label = case.operation.label
        self.asked.codes[label, response.status_code] += 1
        try:
            case.validate_response(response, checks=wanted)
        except BaseExceptionGroup as group:
            for each in group.exceptions:
                said = str(each).strip().replace("\n", " ")[:300]
                sent = f"{response.request.url[:200]} {str(response.request.body)[:200]}"
                self.asked.problems.append(f"{self._role}: {label}: {said}: {sent} -> {response.status_code}")


def _fields(case: Case) -> int:
    return sum(len(part) for part in (case.query, case.body) if isinstance(part, dict))


def _described(house: House, base: str) -> dict[str, Any]:
    headers = {"Cookie": f"{COOKIE}={house.sessions['admin']}"}
    document: dict[str, Any] = requests.get(f"{base}/openapi.json", headers=headers, timeout=30).json()
    # Who asks is told by us, not drawn at random.
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    return document


def _names(house: House, path: str) -> Iterator[dict[str, str] | None]:
    """Return no names, to be invented, and those of what there is."""
    yield None
    if "{id_}" in path:
        yield {"id_": house.paths[HERE]["id_"]}
    elif path.startswith("/plates/{hash_}/"):
        yield {"hash_": house.candidate(HERE)}
    elif "{hash_}" in path:
        yield {"hash_": house.paths[HERE]["plate" if path.startswith("/plates") else "hash_"]}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="0: always the same; else by chance")
    parser.add_argument("--database", help="default: SQLite in a folder of its own")
    parser.add_argument("--role", action="append", choices=["nobody", *RANKS])
    chosen = parser.parse_args(arguments)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), chosen.database)
        for name in chosen.role or ["nobody", *RANKS]:
            role = None if name == "nobody" else name
            asked = ask(house, role, examples=chosen.examples, seed=chosen.seed)
            print(f"{name}: {asked.codes.total()} requests, {len(asked.problems)} problems")
            for problem in sorted(set(asked.problems))[:40]:
                print("  " + problem)
            bad += len(asked.problems)
        house.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
