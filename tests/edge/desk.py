"""A desk for an impatient newcomer: files in a folder, the command line, and what it answers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.cli import main
from tests.edge.test_judge import HEADER, ROW, SIGNALS, SITE_TOML, table

SITE = (
    SITE_TOML
    + """
[[controller_phases]]
signal_group = "A"
phase = 2
[[spat_groups]]
signal_group = "A"
spat_group = 2
"""
)
TRACKS = table()
NEEDED = "expected time,track,kind,x,y,heading_deg,length_m,width_m[,sigma_m]"
SIGNAL_COLUMNS = "expected time,signal_group,state[,sigma_s]"
STATES = "red, red_amber, amber, green, flashing_red, flashing_amber, dark, unknown"
BYTES = bytes(range(256)) * 40
NO_TEXT = "is no text but bytes of another kind, expected text in UTF-8"
CUT = "the compressed file is damaged or cut off: "
ENDED = "Compressed file ended before the end-of-stream marker was reached"
KINDS = "pedestrian, bicycle, motorcycle, car, bus, truck"
SILENT = "no state is known at any time of the tracks, 95.0 s to 110.2 s"
TOO_LATE = "lies beyond the year 2100, expected seconds (are these milliseconds?)"
START = ("--start", "2026-11-20T08:00:00Z")

# The same street, 800 m further east.
FAR = "\n".join(
    line if line.startswith("time") else ",".join([*cells[:3], f"{float(cells[3]) + 800:.3f}", *cells[4:]])
    for line in TRACKS.splitlines()
    for cells in [line.split(",")]
)

SUFFIXED = re.compile(r"[a-z]+(\.[a-z]+)+")
Content = str | bytes | Callable[[Path], object] | None


def same(answer: tuple[int, list[str]], code: int, expected: list[str]) -> bool:
    """Whether a call ended so and said these lines, each at least up to where the expected one goes."""
    lines = answer[1]
    return (answer[0], len(lines)) == (code, len(expected)) and all(map(str.startswith, lines, expected))


class Desk:
    """Files in a folder, and what the command says of them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.put(site__toml=SITE, tracks__csv=TRACKS, signals__csv=SIGNALS)

    def put(self, **files: Content) -> None:
        for name, content in files.items():
            path = self.folder / name.replace("__", ".")
            if callable(content):
                content(path)
            elif content is not None:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def say(self, *words: str) -> tuple[int, list[str]]:
        """Run the command line; return its exit code and the lines on standard error."""
        arguments = [str(self.folder / word) if SUFFIXED.fullmatch(word) else word for word in words]
        before, sys.argv = sys.argv, ["nearmiss", *arguments]
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
        lines = self._capsys.readouterr().err.replace(f"{self.folder}/", "").splitlines()
        return code, [line.removeprefix("nearmiss: ") for line in lines]

    def judge(self, tracks: str, signals: str, *options: str) -> tuple[int, list[str]]:
        """Judge, and see that a refused call has written nothing and left nothing."""
        (self.folder / "out.jsonl").write_text("as before")
        code, lines = self.say(
            "judge", tracks, "--site", "site.toml", "--signals", signals, "--out", "out.jsonl", *options
        )
        if code == 2:
            assert (self.folder / "out.jsonl").read_text() == "as before"
        assert not list(self.folder.glob(".*"))
        return code, lines


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def loop(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def rows(*lines: str) -> str:
    return "\n".join((HEADER, ROW, *lines)) + "\n"
