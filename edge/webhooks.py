"""`nearmiss webhooks`: what it prints."""

from __future__ import annotations

import base64
import os
import secrets
import time
from pathlib import Path

import typer

from edge.errors import InputError
from edge.publication import CONSOLE, opened


def list_deliveries(collector: Path, *, dead: bool) -> int:
    """Print deliveries; 1 where one is dead."""
    from rich.console import Console
    from rich.table import Table

    from broker.collector.publication import webhooks

    _, store = opened(collector)
    with store.read() as connection:
        rows = webhooks.listed(connection, state="dead" if dead else None)
    store.close()
    table = Table("number", "webhook", "site", "rule", "period from", "state", "tries", "last answer")
    for row in rows:
        names = ("n", "webhook", "site", "rule", "start", "state", "tries")
        table.add_row(*(str(row[name]) for name in names), row["reason"] or str(row["status"] or "–"))
    Console().print(table)
    return 1 if any(row["state"] == "dead" for row in rows) else 0


def redeliver(collector: Path, number: int | None) -> int:
    """Queue again; a running collector sends within seconds.

    Raises:
        InputError: there is no such delivery.
    """
    from broker.collector import audit
    from broker.collector.publication import webhooks

    _, store = opened(collector)
    now_s = int(time.time())
    with store.write() as connection:
        count = webhooks.redeliver(connection, now_s=now_s, n=number)
        if number is not None and not count:
            raise InputError(f"{number}: no such delivery; see: nearmiss webhooks list {collector}")
        if count:
            audit.append(
                connection,
                actor=CONSOLE,
                action="webhook",
                subject="dead letters" if number is None else f"delivery {number}",
                detail={"queued": count},
                now_s=now_s,
            )
    store.close()
    typer.echo(f"{count} queued again")
    return 0


def make_secret(file: Path) -> int:
    """Write a new secret of 32 random bytes.

    Raises:
        InputError: the file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "w") as target:
        target.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    typer.echo(f"{file}: written; give the receiver the same secret by a safe way")
    return 0
