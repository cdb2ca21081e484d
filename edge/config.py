"""node.toml: one camera node, its source, its detector and its broker."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from broker.collector.config import BrokerAddress, problem_lines
from broker.wire import NodeId
from edge.errors import InputError

FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
CAMERA_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "usb:")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NodeInfo(_Record):
    """Who the node is, and the site it watches; paths are relative to node.toml."""

    id: NodeId
    site: FilePath


class SourceConfig(_Record):
    """Where frames come from: a recording, or the address of a camera."""

    video: FilePath | None = None
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    start: str | None = None
    times: FilePath | None = None

    @field_validator("start")
    @classmethod
    def _is_time(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                time = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("not an RFC 3339 time such as 2026-11-20T08:15:00Z") from None
            if time.tzinfo is None:
                raise ValueError("lacks its zone, expected such as 2026-11-20T08:15:00Z")
        return text

    @field_validator("url")
    @classmethod
    def _is_camera(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(CAMERA_SCHEMES):
            raise ValueError(f"expected one of {', '.join(CAMERA_SCHEMES)}")
        return url

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.video is None) == (self.url is None):
            raise ValueError("give either video (a recording) or url (a camera)")
        if self.video is not None and self.start is None and self.times is None:
            raise ValueError("a recording needs start (UTC of its time 0) or times: events carry real time")
        if self.url is not None and (self.start is not None or self.times is not None):
            raise ValueError("start and times belong to a recording; a camera's frames carry their own time")
        return self


class DetectorConfig(_Record):
    """What finds road users; see `nearmiss models list`."""

    model: Annotated[str, Field(min_length=1, max_length=4096)] = "motion"
    provider: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,40}$")] | None = None
    threads: Annotated[int, Field(ge=1, le=256)] | None = None

    @model_validator(mode="after")
    def _motion_runs_no_network(self) -> Self:
        if self.model == "motion" and self.provider is not None:
            raise ValueError("provider: motion runs no network, leave it away")
        return self


class SignalsConfig(_Record):
    """Where signal states come from: a file, and the broker of the site's ``signal_feed``.

    Without ``broker`` the feed comes by the node's own.
    """

    file: FilePath | None = None
    broker: BrokerAddress | None = None


class ClipsConfig(_Record):
    """What goes with an event: a drawing on the site's plan, or none."""

    mode: Literal["scene", "schematic", "none"] = "schematic"

    @field_validator("mode")
    @classmethod
    def _no_picture_unseen(cls, mode: str) -> str:
        # A plate leaves the node only after an operator has looked at it; until that can be done, none does.
        if mode == "scene":
            raise ValueError(
                "a plate needs an operator's approval, which is not built yet: use schematic or none"
            )
        return mode


class OutboxConfig(_Record):
    """Where messages wait for their receipt, and how much room they may take."""

    path: FilePath = "outbox.db"
    quota_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 256


class NodeConfig(_Record):
    """One node."""

    node: NodeInfo
    source: SourceConfig
    detector: DetectorConfig = DetectorConfig()
    signals: SignalsConfig = SignalsConfig()
    clips: ClipsConfig = ClipsConfig()
    broker: BrokerAddress = BrokerAddress()
    outbox: OutboxConfig = OutboxConfig()


def load_node(path: Path) -> NodeConfig:
    """Read node.toml.

    Raises:
        InputError: with one line per mistake, all at once.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    try:
        config = NodeConfig.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise InputError(problem_lines(path, error)) from error
    signals = config.signals
    if signals.broker is not None:
        signals = signals.model_copy(update={"broker": signals.broker.beside(path)})
    config = config.model_copy(update={"broker": config.broker.beside(path), "signals": signals})
    problems = config.broker.tls_problems(f"{path}: broker")
    if signals.broker is not None:
        problems += signals.broker.tls_problems(f"{path}: signals.broker")
    if problems:
        raise InputError(problems)
    return config
