"""The folder `analyze` leaves: whole results or none, whatever happens on the way.

Everything is written to a hidden folder inside it and moved to its place at the end. Killed on the way, it
leaves that hidden folder, which the next run removes, and earlier results as they were.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from broker.drawing import Clip, Plate
from broker.wire import LocalEvent
from edge.errors import InputError
from edge.rules.finding import Exposure
from edge.scene import Scene

TRACKS_HEADER = "time,track,kind,x,y,heading_deg,length_m,width_m,sigma_m\n"
COUNTS_HEADER = "start,place,kind,count\n"
FILES = ("events.jsonl", "tracks.csv", "counts.csv", "plate.json", "report.html")
_UNFINISHED = ".unfinished-"


def folder_problem(out: Path) -> str | None:
    """Return why results cannot be written to a folder; None where they can. Writes nothing."""
    if out.exists() and not out.is_dir():
        return f"{out}: is a file, expected a folder for the results"
    there = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return f"{out}: cannot be written to ({there} does not allow it)"
    return None


class Results:
    """Results on their way to a folder; a context that leaves nothing unless ``keep()`` was called."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._made = not out.exists()
        try:
            out.mkdir(parents=True, exist_ok=True)
            _remove_unfinished(out)
            self.unfinished = out / f"{_UNFINISHED}{os.getpid()}"
            (self.unfinished / "clips").mkdir(parents=True)
            self._events = (self.unfinished / "events.jsonl").open("wb")
            self._tracks: IO[str] = (self.unfinished / "tracks.csv").open("w", encoding="ascii")
        except OSError as error:
            raise InputError(f"{out}: cannot be written to: {error.strerror or error}") from error
        self._tracks.write(TRACKS_HEADER)

    def add_scene(self, scene: Scene) -> None:
        """Write the road users of a scene to ``tracks.csv``; what is not known stays empty."""
        for user in scene.users:
            self._tracks.write(
                f"{scene.time:.3f},{user.track},{user.kind},{user.x:.3f},{user.y:.3f},"
                f"{_known(user.heading_deg, 1)},{user.length_m:.2f},{user.width_m:.2f},"
                f"{_known(user.sigma_m, 3)}\n"
            )

    def add_clip(self, clip: Clip) -> str:
        """Write a clip under its sha256 and return that."""
        content = clip.encode()
        name = hashlib.sha256(content).hexdigest()
        (self.unfinished / "clips" / f"{name}.json").write_bytes(content)
        return name

    def add_event(self, event: LocalEvent) -> None:
        self._events.write(event.encode() + b"\n")

    def write_plate(self, plate: Plate) -> None:
        (self.unfinished / "plate.json").write_bytes(plate.encode() + b"\n")

    def write_counts(self, exposures: Iterable[Exposure]) -> None:
        with (self.unfinished / "counts.csv").open("w", encoding="ascii") as file:
            file.write(COUNTS_HEADER)
            for each in exposures:
                file.write(f"{each.start:.3f},{each.place},{each.road_user},{each.count}\n")

    def keep(self) -> None:
        """Move everything to its place; results of an earlier run give way."""
        self._events.close()
        self._tracks.close()
        clips = self.out / "clips"
        clips.mkdir(exist_ok=True)
        earlier = set(clips.glob("?" * 64 + ".json"))
        for path in (self.unfinished / "clips").iterdir():
            earlier.discard(path.replace(clips / path.name))
        for name in FILES:
            path = self.unfinished / name
            if path.exists():
                path.replace(self.out / name)
            else:
                (self.out / name).unlink(missing_ok=True)
        for path in earlier:
            path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.close()
        self._tracks.close()
        shutil.rmtree(self.unfinished, ignore_errors=True)
        if self._made:
            with contextlib.suppress(OSError):  # it is not empty: the results are in it
                self.out.rmdir()


def _known(number: float, digits: int) -> str:
    return f"{number:.{digits}f}" if math.isfinite(number) else ""


def _remove_unfinished(out: Path) -> None:
    """Remove what runs that were killed left behind, not what another one is writing."""
    for path in out.glob(f"{_UNFINISHED}*"):
        number = path.name.removeprefix(_UNFINISHED)
        if number.isdecimal() and (int(number) == os.getpid() or not _runs(int(number))):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
