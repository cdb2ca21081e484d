"""Clips on disk: whole or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from broker.collector.clips import ClipFolder
from tests.broker.records import clip


def test_a_clip_lies_under_the_hash_of_its_bytes(clips: ClipFolder) -> None:
    payload = clip().encode()
    name = clips.write(payload)
    assert name == hashlib.sha256(payload).hexdigest() == clips.write(payload)
    assert clips.read(name) == payload
    assert clips.hashes() == {name}
    assert clips.delete(name)
    assert not clips.delete(name)
    assert clips.read(name) is None


def test_a_write_that_fails_leaves_nothing(
    clips: ClipFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        clips.write(clip().encode())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_half_written_file_is_not_taken_for_a_clip(clips: ClipFolder) -> None:
    name = clips.write(clip().encode())
    clips.path(name).write_bytes(b"half")
    assert clips.write(clip().encode()) == name
    assert clips.read(name) == clip().encode()


def test_what_a_crash_left_is_swept(clips: ClipFolder, tmp_path: Path) -> None:
    (tmp_path / "clips" / "ab").mkdir()
    (tmp_path / "clips" / "ab" / "tmp1234.part").write_bytes(b"half")
    assert clips.sweep_parts() == 1
    assert clips.hashes() == set()
