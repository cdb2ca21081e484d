"""What `nearmiss backup` and `nearmiss restore` print."""

from __future__ import annotations

from pathlib import Path

import typer


def backup(collector: Path, out: Path) -> int:
    """Write every row to a file."""
    from broker.collector.backup import run_backup

    _say(run_backup(collector, out))
    return 0


def restore(collector: Path, file: Path) -> int:
    """Fill an empty store from a file."""
    from broker.collector.backup import run_restore

    _say(run_restore(collector, file))
    return 0


def _say(rows: dict[str, int]) -> None:
    typer.echo(", ".join(f"{name} {count:,}" for name, count in rows.items() if count) or "no rows")
