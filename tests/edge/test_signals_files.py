"""Whatever is given as ``--signals``: read, or refused with what is wrong, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.site import Site
from edge.errors import InputError
from edge.signals.files import load_signals

SITE = Site.model_validate_json(
    json.dumps(
        {
            "site": {"id": "main-5th"},
            "crosswalks": [{"id": "N", "signal_group": "N", "polygon": [[0, 0], [1, 0], [1, 1]]}],
            "controller_phases": [{"signal_group": "N", "pedestrian_phase": 2}],
            "spat_groups": [{"signal_group": "N", "spat_group": 2}],
        }
    )
)
CSV = b"time,signal_group,state\n1,N,red\n2,N,green\n"
LOG = b"Timestamp,Event Code,Event Parameter\n01/31/2019 12:00:00,21,2\n01/31/2019 12:00:09,22,2\n"
SPAT = (
    b'{"value":{"intersections":[{"id":{"id":1},"revision":0,"moy":5,"timeStamp":0,"states":['
    b'{"signalGroup":2,"state-time-speed":[{"eventState":"stop-And-Remain"}]}]}]}}\n'
)
PLAN = (
    b"epoch=2026-01-01T00:00:00Z\ncycle_s=60.0\n"
    b"[[groups]]\nsignal_group='N'\nchanges=[{at_s=1.0,state='red'}]"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [("signals.csv", CSV), ("log.csv", LOG), ("spat.jsonl", SPAT), ("plan.toml", PLAN)],
)
def test_each_format_is_known_by_its_content(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    shown = load_signals(path, site=SITE, start_time=1_548_950_000.0)
    time = {"signals.csv": 1_548_950_001.0, "log.csv": 1_548_936_001.0, "spat.jsonl": 1_546_301_100.0}
    assert shown.at("N", time.get(name, 1e9)).state == ("green" if name == "log.csv" else "red")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([b"", CSV, LOG, SPAT, PLAN, b"PAR1"]),
    st.integers(0, 200),
    st.integers(0, 30),
    st.binary(max_size=40),
    st.sampled_from(["signals.csv", "plan.toml"]),
)
def test_a_damaged_file_is_read_or_refused(
    tmp_path: Path, whole: bytes, at: int, gone: int, instead: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(whole[:at] + instead + whole[at + gone :])
    try:
        load_signals(path, site=SITE, start_time=1_548_950_000.0)
    except InputError as error:
        assert error.problems and all(problem.startswith(str(path)) for problem in error.problems)


def test_parquet_without_duckdb_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InputError, match=r"pip install 'nearmiss\[parquet\]'"):
        load_signals(path, site=SITE, start_time=0.0)


def test_parquet_in_a_folder_with_a_pattern_in_its_name(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra [parquet] is not installed")
    folder = tmp_path / "logs [1] *?"
    folder.mkdir()
    made = tmp_path / "made.parquet"
    rows = "SELECT TIMESTAMPTZ '2019-01-31 12:00:00+00' AS t, 21 AS c, 2 AS p"
    duckdb.connect().execute(
        f'COPY (SELECT t AS "TimeStamp", c AS "EventId", p AS "Parameter" FROM ({rows})) TO \'{made}\''
    )
    path = made.rename(folder / "log.parquet")
    assert load_signals(path, site=SITE, start_time=0.0).at("N", 1_548_936_000.0).state == "green"
