"""What docs/signals.md says is what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from calibration.site import Site
from edge.scene import SourceKind, State
from edge.signals.controller import MEANINGS
from edge.signals.files import load_signals
from edge.signals.spat import PHASE_STATES, STATUS_STATES
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "signals.md").read_text()
SAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.splitlines()[0] for sample in SAMPLES])
def test_each_sample_loads(sample: str) -> None:
    places = [
        {"id": name, "signal_group": name, "polygon": [[0, 0], [1, 0], [1, 1]]} for name in ("N", "ped0")
    ]
    document = {"site": {"id": "docs"}, "crosswalks": places, **tomllib.loads(sample)}
    site = Site.model_validate_json(json.dumps(document, default=str))
    assert site.signal_groups == {"N", "ped0"}


def test_the_sample_of_signals_csv_loads(tmp_path: Path) -> None:
    [sample] = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "signals.csv"
    path.write_text(sample)
    places = [{"id": "N", "signal_group": "N", "polygon": [[0, 0], [1, 0], [1, 1]]}]
    site = Site.model_validate_json(json.dumps({"site": {"id": "docs"}, "crosswalks": places}))
    reading = load_signals(path, site=site, start_time=100.0).at("N", 113.0)
    assert (reading.state, reading.since, reading.sigma_s) == ("green", 112.3, 0.05)


def test_every_state_and_source_is_on_the_page() -> None:
    for name in (*get_args(State), *(kind for kind in get_args(SourceKind) if kind != "none")):
        assert f"`{name}`" in PAGE


def test_every_controller_code_is_on_the_page() -> None:
    for kind, meanings in MEANINGS.items():
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {kind.replace('_', ' ')} |")]
        said: dict[int, str] = {}
        for codes, state in re.findall(r"([\d, ]+) (?:still )?(green|amber|red|dark)", row.split("|")[2]):
            said |= {int(code): state for code in codes.split(",")}
        assert said == {code: meaning.state for code, meaning in meanings.items()}


def test_every_phase_state_of_spat_is_on_the_page() -> None:
    said: dict[str, str] = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 4 and cells[2] in get_args(State):
            first, *others = cells[1].split(", ")
            tail = others[-1].split("-", 1)[1] if others else ""
            said |= {
                (name + tail if name.endswith("-") else name).lower(): cells[2] for name in (first, *others)
            }
    assert said == PHASE_STATES
    assert all(status in PAGE.lower() for status in STATUS_STATES)
