"""collector.toml: which broker, which store, how long things are kept, where the review page is."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from broker.address import BrokerAddress, ConfigRecord, FilePath, problem_lines
from broker.collector.review.settings import Review as Review
from broker.loopback import is_loopback as is_loopback
from broker.published import Detail, PeriodKind
from broker.wire import Rule


class ConfigError(ValueError):
    """A configuration file that cannot be used; ``problems`` holds one line per mistake."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class IntakeConfig(ConfigRecord):
    """How messages come in: collectors of one group share those of their broker."""

    group: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None


class Storage(ConfigRecord):
    """The database, and the folder or bucket of clips; paths are relative to the file."""

    database: Annotated[str, Field(min_length=1, max_length=500)] = "sqlite:///collector.db"
    clips: Annotated[str, Field(min_length=1, max_length=500)] = "clips"  # or s3://BUCKET/PREFIX
    s3_endpoint: Annotated[str, Field(pattern=r"^https?://", max_length=500)] | None = None
    s3_region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None


class Retention(ConfigRecord):
    """How long things are kept, and how much room clips may take (shared PRIVACY §4)."""

    clip_unreviewed_h: Annotated[float, Field(gt=0, le=72)] = 72.0
    clip_reviewed_d: Annotated[float, Field(gt=0, le=30)] = 14.0
    plate_d: Annotated[float, Field(gt=0, le=30)] = 30.0
    event_d: Annotated[float, Field(gt=0, le=90)] = 90.0
    audit_d: Annotated[float, Field(gt=0, le=180)] = 180.0
    # Beyond it the oldest reviewed clips go first, then the oldest nobody has looked at; held ones stay.
    clip_mb: Annotated[int, Field(ge=1, le=10_000_000)] = 2048


class RuleChoice(ConfigRecord):
    """In what periods and how finely a rule is published."""

    period: PeriodKind
    detail: Detail


class RuleSettings(ConfigRecord):
    """What of the choice is another one for a rule."""

    publish: bool = True
    period: PeriodKind | None = None
    detail: Detail | None = None


class WebhookAddress(ConfigRecord):
    """Who is told of each publication; the file holds ``whsec_`` and base64 of 24 to 64 bytes."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    url: Annotated[str, Field(min_length=8, max_length=500)]
    secret_file: FilePath

    @field_validator("url")
    @classmethod
    def _encrypted_off_this_machine(cls, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password or parts.fragment:
            raise ValueError("expected https://HOST/PATH")
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
            return url
        raise ValueError("expected https:// (http:// on this machine only)")


class PublicationSettings(ConfigRecord):
    """What is published once an administrator says so: nothing is by itself.

    ``mqtt`` also keeps the last publication of each rule on the broker, retained.
    """

    period: PeriodKind = "quarter"
    detail: Detail = "place"
    rules: dict[Rule, RuleSettings] = Field(default_factory=dict)
    mqtt: bool = False
    webhooks: Annotated[tuple[WebhookAddress, ...], Field(max_length=20)] = ()

    @field_validator("webhooks")
    @classmethod
    def _distinct(cls, webhooks: tuple[WebhookAddress, ...]) -> tuple[WebhookAddress, ...]:
        names = [each.id for each in webhooks]
        if len(set(names)) != len(names):
            raise ValueError("two webhooks have the same id")
        return webhooks

    def of(self, rule: Rule) -> RuleChoice | None:
        """Return how a rule is published; None where it is not."""
        own = self.rules.get(rule, RuleSettings())
        if not own.publish:
            return None
        return RuleChoice(period=own.period or self.period, detail=own.detail or self.detail)


class Watch(ConfigRecord):
    """Where /health and /metrics are served, for this machine alone; and how much room a disk needs."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9464  # 0: any free one
    room_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 200

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError("served on loopback only: a proxy of yours may show it elsewhere")
        return host


class CollectorConfig(ConfigRecord):
    """One collector."""

    broker: BrokerAddress = BrokerAddress()
    intake: IntakeConfig = IntakeConfig()
    store: Storage = Storage()
    review: Review = Review()
    retention: Retention = Retention()
    publication: PublicationSettings = PublicationSettings()
    watch: Watch | None = None


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
        config = CollectorConfig.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise ConfigError(problem_lines(path, error)) from error
    config = config.model_copy(update={"broker": config.broker.beside(path)})
    problems = config.broker.tls_problems(f"{path}: broker")
    if config.review.oidc is not None:
        problems += config.review.oidc.beside(path).problems(f"{path}: review.oidc")
    if problems:
        raise ConfigError(problems)
    return config


def database_url(path: Path, config: CollectorConfig) -> str:
    """Return the database's address, a relative SQLite file taken from the folder of collector.toml."""
    prefix = "sqlite:///"
    url = config.store.database
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return f"{prefix}{(path.parent / url.removeprefix(prefix)).resolve()}"
    return url
