"""A whole run of the chain with everybody dressed in canaries: every byte that is written is looked through.

The demo's junction, its film shorter, each road user in a colour nothing else has; the real detector, outbox,
broker, collector and report. What leaves in messages, what lies in databases, logs and folders, what goes to
the terminal and to folders for temporary files: no canary, no picture but the plate, no piece of a mover.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from broker.drawing import Plate
from broker.mqtt import Session
from edge.demo import recording, show
from edge.demo.story import Actor, actors
from tests.privacy.test_canary import MAGIC, MAX_CANARY_PX, canary_px, picture_of

pytestmark = [pytest.mark.broker, pytest.mark.slow]

CANARY = (255, 0, 255)
SECONDS = 35.0
# Bytes of one row of pixels: five and a third of them.
RUN = 16


def dressed() -> tuple[Actor, ...]:
    return tuple(dataclasses.replace(each, colour=CANARY) for each in actors())


@pytest.fixture(scope="module")
def run_over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, list[bytes], str]]:
    """Run the demo once; give its folder, that of temporary files, the messages and the terminal's text."""
    out = tmp_path_factory.mktemp("run") / "demo"
    # Not in pytest's folder: the broker does not run as root, and must be able to read its own there.
    temporary = Path(tempfile.mkdtemp())
    temporary.chmod(0o755)
    messages: list[bytes] = []
    honest = Session.publish

    def listened(self: Session, topic: str, payload: bytes, **more: Any) -> int:
        messages.append(topic.encode() + b" " + payload)
        return honest(self, topic, payload, **more)

    said = io.StringIO()
    told = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
    with pytest.MonkeyPatch.context() as patch, told[0], told[1]:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr("tempfile.tempdir", None)
        patch.setattr(recording, "actors", dressed)
        patch.setattr(show, "write_recording", partial(recording.write_recording, until_s=SECONDS))
        patch.setattr(Session, "publish", listened)
        show.run(out=out, serve=False, port=1, gif=None)
    yield out, temporary, messages, said.getvalue()
    shutil.rmtree(temporary)


def written(out: Path, temporary: Path) -> dict[str, bytes]:
    """Return every file that was written, the recording itself aside: it is what came in."""
    found = {}
    for root in (out, temporary):
        for path in root.rglob("*"):
            if path.is_file() and path != out / "video.mp4":
                found[str(path.relative_to(root.parent))] = path.read_bytes()
    return found


def everything(run_over: tuple[Path, Path, list[bytes], str]) -> dict[str, bytes]:
    out, temporary, messages, said = run_over
    texts = {f"message {n}": message for n, message in enumerate(messages)}
    return {**written(out, temporary), **texts, "the terminal": said.encode()}


def filmed(out: Path) -> Iterator[np.ndarray]:
    with av.open(str(out / "video.mp4")) as container:
        for n, frame in enumerate(container.decode(video=0)):
            if n % 25 == 0:
                yield frame.to_ndarray(format="bgr24")


def test_the_run_had_something_to_hide_and_something_to_say(
    run_over: tuple[Path, Path, list[bytes], str],
) -> None:
    out, _, messages, _ = run_over
    assert max(canary_px(image) for image in filmed(out)) > 1000
    kinds = {message.split(b" ")[0].rpartition(b"/")[2] for message in messages}
    assert {b"event", b"clip", b"plate", b"status"} <= kinds
    names = set(written(out, run_over[1]))
    for name in ("outbox.db", "collector.db", "collector.log", "events.jsonl", "report.html"):
        assert any(name in each for each in names), name
    assert any("clips" in each for each in names)


def test_no_picture_is_written_but_the_plate(run_over: tuple[Path, Path, list[bytes], str]) -> None:
    plate = Plate.decode((run_over[0] / "plate.json").read_bytes().strip())
    assert plate.background is not None
    assert canary_px(picture_of(plate)) <= MAX_CANARY_PX
    for name, content in everything(run_over).items():
        assert not any(magic in content for magic in MAGIC if magic != b"RIFF"), name
        for encoded in re.findall(rb"(?:iVBORw0KGgo|/9j/4|R0lGODlh|UklGR)[A-Za-z0-9+/=]*", content):
            if len(encoded) < 200 or name.endswith((".db", ".db-wal")):
                # A database cuts a long text into pages: what it holds is compared as messages and files.
                continue
            assert encoded.decode() == plate.background, name


def test_no_run_of_a_movers_pixels_is_anywhere(run_over: tuple[Path, Path, list[bytes], str]) -> None:
    runs = set()
    for image in filmed(run_over[0]):
        blue, green, red = (image[..., n].astype(int) for n in range(3))
        canary = np.minimum(blue, red) - green > 40
        for row, column in np.argwhere(canary)[:: max(1, int(canary.sum()) // 40)]:
            piece = image[row, column : column + 8].tobytes()[:RUN]
            if len(piece) == RUN and len(set(piece)) > 3:
                runs.add(piece)
    assert len(runs) > 100
    for name, content in everything(run_over).items():
        for shape in (content, *unpacked(content)):
            assert not any(piece in shape for piece in runs), name


def unpacked(content: bytes) -> Iterator[bytes]:
    """Give what is hidden one layer down: base64, and the pixels of a picture."""
    for encoded in re.findall(rb"[A-Za-z0-9+/]{200,}={0,2}", content):
        raw = base64.b64decode(encoded[: len(encoded) // 4 * 4])
        yield raw
        if raw.startswith(b"\x89PNG"):
            yield cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED).tobytes()


def test_temporary_folders_are_left_empty(run_over: tuple[Path, Path, list[bytes], str]) -> None:
    assert [path for path in run_over[1].rglob("*") if path.is_file()] == []
