"""The unit files: what systemd itself says of their hardening, and that they start what there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNITS = sorted((ROOT / "systemd").glob("*.service"))
MOST_EXPOSED = 1.5


def settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_little_exposed(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (apt-get install systemd)")
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"exposure level for \S+: ([0-9.]+)", said.stdout)
    assert level is not None, said.stdout + said.stderr
    assert float(level[1]) <= MOST_EXPOSED, said.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line_of_a_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (apt-get install systemd)")
    program = Path(sys.executable).with_name("nearmiss")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/nearmiss/.venv/bin/nearmiss", str(program)))
    for more in unit.parent.glob(f"{unit.stem}-*.conf"):  # what `systemctl edit` would put beside it
        (tmp_path / f"{unit.name}.d").mkdir(exist_ok=True)
        shutil.copy(more, tmp_path / f"{unit.name}.d")
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    about = [line for line in said.stderr.splitlines() if unit.stem in line]
    assert (said.returncode, about) == (0, []), said.stderr


def test_there_is_a_unit_for_each_daemon() -> None:
    commands = [each for unit in UNITS for each in settings(unit)["ExecStart"]]
    assert [command.split()[1] for command in commands] == ["collect", "run"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_dumps_no_core_and_comes_back_for_ever(unit: Path) -> None:
    told = settings(unit)
    assert (told["LimitCORE"], told["Restart"], told["StartLimitIntervalSec"]) == (["0"], ["always"], ["0"])


def test_the_nodes_unit_fits_what_a_node_does() -> None:
    told = settings(ROOT / "systemd" / "nearmiss-node.service")
    assert told["Type"] == ["notify"]
    assert int(told["TimeoutStopSec"][0]) > 5
    assert told["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert int(told["WatchdogSec"][0]) >= 60  # a camera's supervisor gives it as long
    # It reads how good the clock is (edge/sources/host_clock.py); ProtectClock= would forbid that too.
    assert told["SystemCallFilter"][-1] == "adjtimex"
    assert "ProtectClock" not in told
