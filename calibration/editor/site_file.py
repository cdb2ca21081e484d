"""The site file under the page: read with its mistakes, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from calibration.site import Site, SiteError, problem_lines
from calibration.toml_text import toml_text

# What the page draws and edits; every other table stays as it is in the file.
TABLES = ("site", "stop_lines", "crosswalks", "roadways", "boxes", "signal_heads", "ground_plane")
WRITTEN = (
    "# Written by `nearmiss calibrate`. Comments that stood between the tables are in the .bak beside it.\n"
)


class ChangedError(RuntimeError):
    """The file is another than the one the page was opened with."""


@dataclass(frozen=True)
class Opened:
    """A site file as the page gets it.

    Attributes:
        document: the tables of the page, as they stand in the file.
        digest: of the file's bytes; empty where there is no file yet.
        mistakes: what is wrong with it, a line each.
    """

    document: dict[str, Any]
    digest: str
    mistakes: tuple[str, ...]


class SiteFile:
    """One site file.

    Raises:
        SiteError: it cannot be read, or is not TOML: nothing of it could be kept.
    """

    def __init__(self, path: Path) -> None:
        # A link stays a link: what it leads to is written.
        self.path = path.resolve()
        if not self.path.parent.is_dir():
            raise SiteError([f"{path}: cannot be written: there is no folder {self.path.parent}"])
        self._whole()

    def read(self) -> Opened:
        """Return the file as it is now."""
        payload, whole = self._whole()
        mistakes: tuple[str, ...] = ()
        if whole:
            try:
                site_of(whole, self.path)
            except SiteError as error:
                mistakes = error.problems
        return Opened(
            {name: whole[name] for name in TABLES if name in whole},
            hashlib.sha256(payload).hexdigest() if payload else "",
            mistakes,
        )

    def merged(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the file's document with the page's tables in place of its own."""
        _, whole = self._whole()
        kept = {name: value for name, value in whole.items() if name not in TABLES}
        ours = {name: document[name] for name in TABLES if document.get(name)}
        return {**ours, **kept}

    def write(self, document: Mapping[str, Any], *, digest: str) -> str:
        """Write the page's tables into the file, which is checked first, and return its digest.

        Raises:
            SiteError: what would be written is no valid site; the file is as it was.
            ChangedError: the file changed since ``digest``; it is as it was.
        """
        payload, _ = self._whole()
        if (hashlib.sha256(payload).hexdigest() if payload else "") != digest:
            raise ChangedError(f"{self.path.name} was changed by something else since the page was opened")
        if payload and not self.path.stat().st_mode & 0o222:
            raise SiteError([f"{self.path}: is read-only: allow writing it, or start with another --site"])
        merged = self.merged(document)
        site_of(merged, self.path)
        try:
            text = _heading(payload) + toml_text(merged)
            new = text.encode()
        except (TypeError, UnicodeEncodeError) as error:
            raise SiteError([f"{self.path.name}: cannot be written as TOML: {error}"]) from error
        if json.loads(json.dumps(tomllib.loads(text), default=str)) != json.loads(
            json.dumps(merged, default=str)
        ):
            raise SiteError([f"{self.path.name}: would not read back as it is written"])
        if payload and payload != new:
            written(self.path.with_name(self.path.name + ".bak"), payload, like=self.path)
        written(self.path, new, like=self.path)
        return hashlib.sha256(new).hexdigest()

    def _whole(self) -> tuple[bytes, dict[str, Any]]:
        try:
            payload = self.path.read_bytes()
            return payload, tomllib.loads(payload.decode())
        except FileNotFoundError:
            return b"", {}
        except OSError as error:
            raise SiteError([f"{self.path}: cannot be read: {error.strerror or error}"]) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SiteError([f"{self.path}: not a TOML file: {error}"]) from error


def site_of(document: Mapping[str, Any], path: Path) -> Site:
    """Return the site a document describes.

    Raises:
        SiteError: with one line per mistake.
    """
    try:
        return Site.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        lines = problem_lines(Path(path.name), error)
        raise SiteError([line.removeprefix(f"{path.name}: ") for line in lines]) from error


def _heading(payload: bytes) -> str:
    """Return the comment a file begins with, and that the page wrote it."""
    match = re.match(r"(?:[ \t]*(?:#[^\n]*)?\n)*", payload.decode())
    heading = match.group(0).strip("\n") + "\n" if match and match.group(0).strip() else ""
    return heading + ("" if WRITTEN in heading else WRITTEN) + "\n"


def written(path: Path, payload: bytes, *, like: Path | None = None) -> None:
    """Write a file whole: after a crash there is the old one or the new one.

    Raises:
        SiteError: the folder or the disk does not take it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        if like is not None and like.exists():
            shutil.copymode(like, beside)
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise SiteError([f"{path}: cannot be written: {error.strerror or error}"]) from error
