"""docs/security.md names requirements there are, and tests there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in TEXT.splitlines() if re.match(r"\| \d+\.\d", line)]
# How many requirements each section of OWASP ASVS 5.0.0 has (CC BY-SA 4.0, only counted here).
SECTIONS = {
    "1.2": 10,
    "2.2": 3,
    "2.3": 5,
    "2.4": 2,
    "3.3": 5,
    "3.4": 8,
    "3.5": 8,
    "3.7": 5,
    "4.1": 5,
    "5.2": 6,
    "6.1": 3,
    "6.2": 12,
    "6.3": 8,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 3,
    "7.6": 2,
    "8.1": 4,
    "8.2": 4,
    "8.3": 3,
    "8.4": 2,
    "9.1": 3,
    "9.2": 4,
    "10.1": 2,
    "10.2": 3,
    "10.5": 5,
    "11.1": 4,
    "11.4": 4,
    "11.5": 2,
    "12.1": 5,
    "12.2": 2,
    "12.3": 5,
    "13.3": 4,
    "13.4": 7,
    "14.2": 8,
    "14.3": 3,
    "15.1": 5,
    "15.2": 5,
    "15.3": 7,
    "16.2": 5,
    "16.3": 4,
    "16.4": 3,
    "16.5": 4,
}


def numbers(row: str) -> list[str]:
    return re.findall(r"\d+\.\d+\.\d+", row.split("|")[1])


def test_each_number_is_one_of_the_standard_and_stands_once() -> None:
    found = [number for row in ROWS for number in numbers(row)]
    assert len(found) > 90
    assert len(found) == len(set(found)), "met and not met, or met twice"
    for number in found:
        section, _, n = number.rpartition(".")
        assert 1 <= int(n) <= SECTIONS[section], number


@pytest.mark.parametrize("row", [row for row in ROWS if "`test_" in row or "/test_" in row])
def test_each_test_it_names_is_there(row: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", row.split("|")[4])
    assert named, row
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / "broker" / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (
            f"{file}::{name}"
        )


def test_what_is_met_has_a_test() -> None:
    met = TEXT.partition("## Not met")[0].splitlines()
    rows = [row for row in met if re.match(r"\| \d+\.\d", row)]
    assert len(rows) > 40
    assert not [row for row in rows if "::test_" not in row]
