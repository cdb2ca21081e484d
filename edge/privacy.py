"""`nearmiss privacy`: what a node or collector keeps, sends and for how long, from its own configuration."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer

from broker.collector.config import CollectorConfig, database_url, load_collector
from edge.config import NodeConfig, load_cameras
from edge.dispatch import SPREAD_S
from edge.errors import InputError
from edge.recorder import RING_S

REFUSES = (
    "no face recognition, and no detector of faces",
    "no reading of number plates",
    "no matching with any identity, no recognising again across cameras or days",
    "no score, point or penalty for a person",
    "no recording, showing or sending of camera frames, for no purpose",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that is kept: what, where, how long."""

    what: str
    where: str
    how_long: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One thing that leaves: what is in it, where it goes, when."""

    what: str
    to: str
    when: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What one node or collector does with what it sees."""

    of: str
    keeps: tuple[Kept, ...]
    sends: tuple[Sent, ...]
    refuses: tuple[str, ...] = REFUSES


def run(file: Path, *, as_json: bool) -> int:
    """Print what a node.toml or collector.toml means for the people in the street.

    Raises:
        InputError, broker.collector.config.ConfigError: every mistake in the file.
    """
    statements = statements_of(file)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(each) for each in statements], indent=2))
    else:
        typer.echo("\n\n".join(_text(each) for each in statements))
    return 0


def statements_of(file: Path) -> list[Statement]:
    """Return a statement for each camera of a node.toml, or the one of a collector.toml."""
    try:
        document = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not a TOML file: {error}") from error
    if "node" in document or "cameras" in document:
        return [_node(file, each) for each in load_cameras(file)]
    if {"store", "retention", "review", "broker"} & document.keys():
        return [_collector(file, load_collector(file))]
    raise InputError(f"{file}: neither a node (with [node]) nor a collector (with [store] or [retention])")


def _node(file: Path, config: NodeConfig) -> Statement:
    from calibration.site import load_site

    site = load_site(file.parent / config.node.site)
    bin_min = site.thresholds.time_bin_s // 60
    mode = config.clips.mode
    to = f"{config.broker.host}:{config.broker.port}, {'TLS' if config.broker.tls else 'this machine alone'}"
    outbox = str(file.parent / config.outbox.path)
    keeps = [
        Kept("a camera frame", "memory", "until the next frame"),
        Kept("sketches: boxes and moving cells, no pixel", "memory", f"{RING_S:.0f} s"),
    ]
    if mode == "scene":
        keeps.append(Kept("samples of the empty place, at most 12.5 px/m", "memory", "24 h"))
    keeps.append(
        Kept(
            "messages that wait for their receipt",
            outbox,
            f"until the collector has them; at most {config.outbox.quota_mb} MB, clips given up first",
        )
    )
    after = f"{bin_min} min after it began, at a random instant within {SPREAD_S:.0f} s"
    sends = [
        Sent(
            f"an event: rule, place, kinds of road users, signal state, measures rounded to 0.1 s, 0.5 m and "
            f"1 km/h, time floored to {bin_min} min, a random id",
            to,
            f"once its bin is over: {after}",
        ),
        Sent("counts of who passed, by place and kind", to, "a quarter of an hour after another"),
        Sent("health of the node", to, "every 30 s"),
    ]
    if mode != "none":
        sends.append(
            Sent(
                "a clip: a drawing of fixed shapes, relative times, no pixel of anybody", to, "with its event"
            )
        )
        on = "the plan of the site, no camera pixel"
        if mode == "scene":
            on = "a still of the empty place, seen by an admin of the site before anybody else"
        sends.append(
            Sent(
                f"a plate: {on}",
                to,
                "daily" if mode == "schematic" else "twice at first, then once a fortnight",
            )
        )
    return Statement(
        f"node {config.node.id} at site {site.site.id}, clips: {mode}", tuple(keeps), tuple(sends)
    )


def _collector(file: Path, config: CollectorConfig) -> Statement:
    keep = config.retention
    database = _without_password(database_url(file, config))
    clips = str(file.parent / config.store.clips)
    keeps = (
        Kept("clips nobody has decided on", clips, f"{keep.clip_unreviewed_h:g} h"),
        Kept(
            "clips somebody has decided on",
            clips,
            f"{keep.clip_reviewed_d:g} d; held once with a reason, 30 d",
        ),
        Kept("plates nobody has approved", clips, f"{keep.clip_unreviewed_h:g} h"),
        Kept("plates", clips, f"{keep.plate_d:g} d"),
        Kept("all clips and plates together", clips, f"{keep.clip_mb} MB; beyond it reviewed ones go first"),
        Kept("event rows", database, f"{keep.event_d:g} d, then numbers by month"),
        Kept(
            "counts, decisions, refusals, proofs of deletion, the audit trail",
            database,
            f"{keep.audit_d:g} d",
        ),
        Kept("numbers by month and what was published", database, "without limit: no event, no person"),
    )
    where = f"{config.review.host}:{config.review.port}" if config.review.enabled else "nobody: it is off"
    sends = (
        Sent(
            "receipts: ids and hashes", f"{config.broker.host}:{config.broker.port}", "as messages are stored"
        ),
        Sent(
            "pages, to people with an account and a role at the site", where, "on request; views are audited"
        ),
    )
    return Statement(f"collector {file}", keeps, sends)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":…@", 1)


def _text(statement: Statement) -> str:
    lines = [statement.of, "", "keeps"]
    lines += [f"  {each.what}\n      {each.how_long}; in {each.where}" for each in statement.keeps]
    lines += ["", "sends"]
    lines += [f"  {each.what}\n      {each.when}; to {each.to}" for each in statement.sends]
    lines += ["", "refuses", *(f"  {each}" for each in statement.refuses)]
    return "\n".join(lines)
