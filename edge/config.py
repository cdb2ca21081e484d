"""node.toml: the cameras of one machine, each with its source, its detector and its broker."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from broker.address import BrokerAddress, ConfigRecord, problem_lines
from broker.wire import NodeId
from edge.config_cameras import expanded, shared
from edge.config_source import FilePath, SourceConfig
from edge.errors import InputError

# Where the supervisor's shared detector listens: set for the processes of its cameras.
SHARED_DETECTOR = "NEARMISS_SHARED_DETECTOR"


class NodeInfo(ConfigRecord):
    """Who the node is, and the site it watches; paths are relative to node.toml."""

    id: NodeId
    site: FilePath


class DetectorConfig(ConfigRecord):
    """What finds road users; see `nearmiss models list`."""

    model: Annotated[str, Field(min_length=1, max_length=4096)] = "motion"
    provider: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,39}$")] | None = None
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    # on: it looks only where something may have changed (docs/speed.md).
    gate: Literal["on", "off"] = "off"
    # on: it is shown only the part of the picture with the site's places (docs/speed.md).
    crop: Literal["on", "off"] = "off"
    # on: the cameras of this machine that name the same model have one process of it between them.
    shared: Literal["on", "off"] = "off"

    @model_validator(mode="after")
    def _motion_runs_no_network(self) -> Self:
        if self.model == "motion" and "on" in (self.gate, self.crop, self.shared):
            raise ValueError(
                "gate, crop and shared are for networks: motion learns the whole street from every frame"
            )
        if self.model == "motion" and self.provider is not None:
            raise ValueError("provider: motion runs no network, leave it away")
        return self


class SignalsConfig(ConfigRecord):
    """Where signal states come from: a file, and the broker of the site's ``signal_feed``.

    Without ``broker`` the feed comes by the node's own.
    """

    file: FilePath | None = None
    broker: BrokerAddress | None = None


class ClipsConfig(ConfigRecord):
    """What goes with an event: a drawing on the site's plan, on its plate, or none.

    ``scene`` sends a plate, the still of the empty place: an admin of the site approves it before anybody
    else sees it, and until then clips are drawn on the plan.
    """

    mode: Literal["scene", "schematic", "none"] = "schematic"


class OutboxConfig(ConfigRecord):
    """Where messages wait for their receipt, and how much room they may take."""

    path: FilePath = "outbox.db"
    quota_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 256


class HomeAssistantConfig(ConfigRecord):
    """Whether the node shows its health in Home Assistant; see edge/home_assistant.py."""

    discovery: bool = False
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "homeassistant"


class NodeConfig(ConfigRecord):
    """One node."""

    node: NodeInfo
    source: SourceConfig
    detector: DetectorConfig = DetectorConfig()
    signals: SignalsConfig = SignalsConfig()
    clips: ClipsConfig = ClipsConfig()
    broker: BrokerAddress = BrokerAddress()
    outbox: OutboxConfig = OutboxConfig()
    home_assistant: HomeAssistantConfig = HomeAssistantConfig()


def load_node(path: Path, *, camera: str | None = None) -> NodeConfig:
    """Read node.toml and return its one camera, or the one that is named.

    Raises:
        InputError: with one line per mistake, all at once.
    """
    configs = load_cameras(path)
    if camera is None and len(configs) == 1:
        return configs[0]
    for config in configs:
        if config.node.id == camera:
            return config
    ids = ", ".join(config.node.id for config in configs)
    raise InputError(f"{path}: cameras: {camera!r} is not one of {ids}")


def load_cameras(path: Path) -> tuple[NodeConfig, ...]:
    """Read node.toml, of one camera or of several, and return each camera's configuration.

    Raises:
        InputError: with one line per mistake, all at once.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    parts, problems = expanded(document)
    configs = []
    for part in parts:
        try:
            config = NodeConfig.model_validate_json(json.dumps(part.document, default=str))
        except ValidationError as error:
            problems += [part.placed(line) for line in _lines(error)]
        else:
            configs.append(_beside(path, config))
            problems += [part.placed(line) for line in _tls_problems(configs[-1])]
    problems += shared(configs)
    if problems:
        raise InputError(f"{path}: {problem}" for problem in dict.fromkeys(problems))
    return tuple(configs)


def _lines(error: ValidationError) -> list[str]:
    """Return one line per mistake, without the address of a camera, which may hold a password."""
    lines = [line.removeprefix(": ") for line in problem_lines(Path(), error)]
    lines = [line.removeprefix(".: ") for line in lines]
    return [
        line.partition(" (came: ")[0] if line.startswith(("source: ", "source.url: ")) else line
        for line in lines
    ]


def _beside(path: Path, config: NodeConfig) -> NodeConfig:
    signals = config.signals
    if signals.broker is not None:
        signals = signals.model_copy(update={"broker": signals.broker.beside(path)})
    return config.model_copy(update={"broker": config.broker.beside(path), "signals": signals})


def _tls_problems(config: NodeConfig) -> list[str]:
    problems = config.broker.tls_problems("broker")
    if config.signals.broker is not None:
        problems += config.signals.broker.tls_problems("signals.broker")
    return problems
