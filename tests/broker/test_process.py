"""Core dumps are off and the memory is closed, in the two daemons too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# In a child: this process is to stay one that can be debugged.
CHILD = """
import ctypes, os, resource
from broker.process import harden, open_doors
assert open_doors() != [] or resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
harden()
assert open_doors() == [], open_doors()
print("closed")
print(os.stat("/proc/self/mem").st_uid)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_hardened_process_leaves_no_door_open() -> None:
    done = run(CHILD)
    assert done.returncode == 0, done.stderr
    # The kernel gives the files of a process that is not dumpable to root: nobody else opens its memory.
    assert done.stdout.split() == ["closed", "0"]


def test_a_crash_leaves_no_core_file(tmp_path: Path) -> None:
    code = (
        "import os, signal, resource, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "hard = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))\n"
        "from broker.process import harden\nharden()\nos.kill(os.getpid(), signal.SIGSEGV)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -11
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "call"),
    [("edge.daemon", "run(Path('none.toml'))"), ("broker.collector.serve", "run(Path('none.toml'))")],
)
def test_a_daemon_closes_its_memory_before_it_reads_its_file(module: str, call: str) -> None:
    code = (
        f"from pathlib import Path\nfrom {module} import run\nfrom broker.process import open_doors\n"
        f"try: {call}\nexcept ValueError as error: print(open_doors(), error)"
    )
    done = run(code)
    assert done.stdout.startswith("[] none.toml"), done.stdout + done.stderr


def test_the_decoder_who_holds_frames_is_closed_too() -> None:
    code = (ROOT / "edge" / "sources" / "decoder.py").read_text()
    main = code[code.index("def main()") :]
    assert main.index("RLIMIT_CORE, (0, 0)") < main.index("prctl(_PR_SET_DUMPABLE, 0") < main.index("decode(")
