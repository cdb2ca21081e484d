"""`nearmiss check`: lint a site, node or collector file, told apart by its tables; every mistake at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from edge.errors import InputError

if TYPE_CHECKING:
    from edge.config import NodeConfig

Thing = TypeVar("Thing")

DATABASES = ("sqlite://", "postgresql")
_EXTRA = "Extra inputs are not permitted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file is, and one line per mistake and warning."""

    what: str
    mistakes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def run(file: Path, *, picture: Path | None = None) -> int:
    """Print what is wrong with a file; 0 where nothing is (warnings aside), 2 where something is.

    Args:
        picture: also draw the site there, as a PNG, where the file can be read as one.

    Raises:
        InputError: the picture cannot be drawn, or not be written.
    """
    verdict = check(file)
    if picture is not None:
        _draw(file, picture, verdict)
    for mistake in verdict.mistakes:
        typer.echo(f"nearmiss: {mistake}", err=True)
    for warning in verdict.warnings:
        typer.echo(f"nearmiss: warning: {warning}", err=True)
    if verdict.mistakes:
        return 2
    doubts = f", {len(verdict.warnings)} warnings" if len(verdict.warnings) > 1 else ""
    doubts = ", 1 warning" if len(verdict.warnings) == 1 else doubts
    typer.echo(f"{file}: {verdict.what}, no mistakes{doubts}")
    return 0


def _draw(file: Path, picture: Path, verdict: Verdict) -> None:
    if verdict.what != "a site file":
        raise InputError(f"{file}: is {verdict.what}; --picture draws site files")
    from calibration.picture import draw
    from calibration.site import SiteError, load_site

    try:
        site = load_site(file)
    except SiteError:
        return  # its mistakes are told
    try:
        draw(site, picture)
    except (OSError, ValueError) as error:
        raise InputError(f"{picture}: cannot be written: {error}") from error


def check(file: Path) -> Verdict:
    """Return what a file is and what is wrong with it, each mistake with how to mend it."""
    verdict = _checked(file)
    return replace(verdict, mistakes=_mended(verdict.mistakes))


def _checked(file: Path) -> Verdict:
    try:
        document = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        return Verdict("a file", (f"{file}: cannot be read: {error.strerror or error}",))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Verdict("a file", (f"{file}: not a TOML file: {error}",))
    if "node" in document or "cameras" in document:
        return _node(file)
    if "site" in document:
        return _site(file)
    known = _collector_tables()
    if document and known.issuperset(document):
        return _collector(file)
    tables = ", ".join(sorted(document)) or "nothing"
    return Verdict(
        "a file",
        (
            f"{file}: holds {tables}; expected a site file ([site]), a node file ([node]) "
            f"or a collector file ({', '.join(f'[{name}]' for name in sorted(known))})",
        ),
    )


def _site(file: Path) -> Verdict:
    from calibration.lint import lint
    from calibration.site import load_site

    what = "a site file"
    mistakes: list[str] = []
    site = _of(lambda: load_site(file), mistakes)
    if site is None:
        return Verdict(what, tuple(mistakes))
    doubts = lint(site)
    return Verdict(
        what,
        tuple(f"{file}: {mistake}" for mistake in doubts.mistakes),
        tuple(f"{file}: {warning}" for warning in doubts.warnings),
    )


def _node(file: Path) -> Verdict:
    from edge.config import load_cameras

    what = "a node file"
    mistakes: list[str] = []
    configs = _of(lambda: load_cameras(file), mistakes)
    if configs is None:
        return Verdict(what, tuple(mistakes))
    warnings: list[str] = []
    for index, config in enumerate(configs):
        place = f"{file}: " if len(configs) == 1 else f"{file}: cameras.{index}."
        for key, name in (
            ("source.video", config.source.video),
            ("source.times", config.source.times),
            ("source.ca", config.source.ca),
            ("signals.file", config.signals.file),
        ):
            if name is not None and not (file.parent / name).is_file():
                mistakes.append(f"{place}{key}: {name!r} is no file beside it")
        if config.source.password_file is not None:
            _of(lambda config=config: config.source.camera(file, (1, 1)), mistakes)  # type: ignore[misc]
        site = _site(file.parent / config.node.site)
        mistakes += site.mistakes
        warnings += site.warnings
        warnings += [f"{place}{line}" for line in _silent(file.parent / config.node.site, config)]
    if len(configs) > 1:
        what = f"a node file of {len(configs)} cameras"
    # Cameras of one site file have its mistakes once.
    return Verdict(what, tuple(dict.fromkeys(mistakes)), tuple(dict.fromkeys(warnings)))


def _collector_tables() -> set[str]:
    from broker.collector.config import CollectorConfig

    return set(CollectorConfig.model_fields)


def _silent(site_file: Path, config: NodeConfig) -> Iterator[str]:
    """Return that no source tells the signals of a node's site, where none does."""
    from calibration.site import SiteError, load_site

    try:
        site = load_site(site_file)
    except SiteError:
        return  # its mistakes are told
    reads = site.signal_feed is not None or site.signal_plan is not None
    reads = reads or any(head.read for head in site.signal_heads)
    if site.signal_groups and config.signals.file is None and not reads:
        groups = ", ".join(sorted(site.signal_groups))
        yield (
            f"signals: no source tells the state of {groups}, so nothing is judged against them: give "
            "signals.file, or in the site file signal_feed, signal_plan or a signal head with read = true"
        )


def _collector(file: Path) -> Verdict:
    from broker.collector.config import load_collector
    from broker.collector.publication.webhooks import webhooks_of

    mistakes: list[str] = []
    config = _of(lambda: load_collector(file), mistakes)
    if config is not None and not config.store.database.startswith(DATABASES):
        mistakes.append(
            f"{file}: store.database: {config.store.database.partition(':')[0]!r} is no database the "
            f"collector knows, expected {' or '.join(f'{name}...' for name in DATABASES)}"
        )
    if config is not None:
        _of(lambda: webhooks_of(file, config.publication), mistakes)
    return Verdict("a collector file", tuple(mistakes))


def _mended(lines: Iterable[str]) -> tuple[str, ...]:
    """Return lines in which a key that is not known has its nearest known one beside it."""
    return tuple(
        line.replace(_EXTRA, f"{_EXTRA}{_nearest(line)}", 1) if _EXTRA in line else line for line in lines
    )


def _nearest(line: str) -> str:
    from difflib import get_close_matches

    from broker.collector.config import CollectorConfig
    from calibration.site import Site
    from edge.config import NodeConfig

    key = line.partition(f": {_EXTRA}")[0].rpartition(": ")[2].rpartition(".")[2]
    known = set().union(*(_names(model.model_json_schema()) for model in (Site, NodeConfig, CollectorConfig)))
    near = get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else "; take it out"


def _names(schema: Any) -> set[str]:
    """Return every key a JSON schema knows."""
    if isinstance(schema, list):
        return set().union(*map(_names, schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties")
    named = set(own) if isinstance(own, dict) else set()
    return named.union(*map(_names, schema.values()))


def _of(load: Callable[[], Thing], mistakes: list[str]) -> Thing | None:
    """Return what is loaded; None where it cannot be, whose mistakes are kept."""
    try:
        return load()
    except ValueError as error:
        problems = getattr(error, "problems", None)
        if problems is None:
            raise  # not a mistake of the user: a defect of ours
        mistakes += problems
        return None
