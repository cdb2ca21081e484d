"""What is written as TOML reads back as it was."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.toml_text import toml_text
from tests.conftest import ROOT

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.datetimes(timezones=st.just(UTC)).map(lambda each: each.replace(microsecond=0))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=6))
def test_any_document_reads_back(document: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(document)) == document


def test_the_example_reads_back_and_has_a_point_a_line() -> None:
    document = tomllib.loads((ROOT / "examples" / "strudl" / "site.toml").read_text())
    text = toml_text(document)
    assert tomllib.loads(text) == document
    assert "\n  { px = [76.9, 152.0], m = [0.06, 4.0] },\n" in text
    assert text.count("[[stop_lines]]") == 5


def test_times_keep_their_zone() -> None:
    document = {"signal_plan": {"epoch": datetime(2026, 11, 20, 8, tzinfo=UTC)}}
    assert tomllib.loads(toml_text(document)) == document


def test_what_toml_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="no form in TOML"):
        toml_text({"a": None})
