"""collector.toml: which broker, which store, how long things are kept, where the review page is."""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Port = Annotated[int, Field(ge=1, le=65535)]


class ConfigError(ValueError):
    """A configuration file that cannot be used; ``problems`` holds one line per mistake."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BrokerAddress(_Record):
    """Where the MQTT broker listens."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 1883

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        # Until connections are encrypted, no message leaves the machine.
        if not is_loopback(host):
            raise ValueError(
                "only a broker on this machine: TLS is not built yet, and without it none is used"
            )
        return host


class Storage(_Record):
    """The database and the folder of clips; paths are relative to the file."""

    database: Annotated[str, Field(min_length=1, max_length=500)] = "sqlite:///collector.db"
    clips: Annotated[str, Field(min_length=1, max_length=500)] = "clips"


class Review(_Record):
    """Where the review page listens; accounts are not built yet, so loopback only."""

    enabled: bool = True
    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 8080

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError("the review page has no accounts yet and listens on loopback only")
        return host


class Retention(_Record):
    """How long things are kept (shared PRIVACY §4)."""

    clip_unreviewed_h: Annotated[float, Field(gt=0, le=72)] = 72.0
    clip_reviewed_d: Annotated[float, Field(gt=0, le=30)] = 14.0
    plate_d: Annotated[float, Field(gt=0, le=30)] = 30.0
    event_d: Annotated[float, Field(gt=0, le=90)] = 90.0
    audit_d: Annotated[float, Field(gt=0, le=180)] = 180.0


class CollectorConfig(_Record):
    """One collector."""

    broker: BrokerAddress = BrokerAddress()
    store: Storage = Storage()
    review: Review = Review()
    retention: Retention = Retention()


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_collector(path: Path) -> CollectorConfig:
    """Read collector.toml.

    Raises:
        ConfigError: with one line per mistake, all at once.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror or error}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: not a TOML file: {error}"]) from error
    try:
        return CollectorConfig.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise ConfigError(problem_lines(path, error)) from error


def database_url(path: Path, config: CollectorConfig) -> str:
    """Return the database's address, a relative SQLite file taken from the folder of collector.toml."""
    prefix = "sqlite:///"
    url = config.store.database
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{(path.parent / url.removeprefix(prefix)).resolve()}"
    return url


def problem_lines(path: Path, error: ValidationError) -> list[str]:
    """Return one line per mistake pydantic found: file, place, what came, what was expected."""
    lines = []
    for mistake in error.errors(include_url=False):
        place = ".".join(str(part) for part in mistake["loc"]) or "the file"
        text = repr(mistake["input"])
        came = (
            ""
            if mistake["type"] == "missing"
            else f" (came: {text if len(text) <= 60 else text[:57] + '...'})"
        )
        lines.append(f"{path}: {place}: {mistake['msg'].removeprefix('Value error, ')}{came}")
    return lines
