"""Plates wait for a person: until somebody has looked at one, only who approves it sees it.

A node's plate with a picture arrives as ``pending``. An admin of its site approves it, paints parts of it
out, which makes another plate under a hash of its own, or refuses it. Clips go on naming the plate they were
drawn for; ``shown`` says what they are drawn on: the approved picture, or the plan of the site alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, select, update

from broker.collector import audit
from broker.collector.clips import ClipFolder, checked_plate
from broker.collector.paint import painted
from broker.collector.retention import prove
from broker.collector.store import insert_new
from broker.collector.tables import blobs, plate_states
from broker.collector.wording import Told
from broker.drawing import Plate


class PlateError(ValueError):
    """A plate that cannot be decided on; ``problems`` says why."""

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plate that waits for a person."""

    hash: str
    site: str
    node: str
    came_s: int


def arrived(
    connection: Connection, clips: ClipFolder, plates: Iterable[tuple[str, Plate, str]], *, now_s: int
) -> None:
    """Note plates with a picture as pending: hash, plate, and the node that sent it.

    One that comes again after it was painted or refused (its receipt was lost) is deleted again.
    """
    for hash_, plate, node in plates:
        known = connection.execute(select(plate_states.c.state).where(plate_states.c.hash == hash_)).scalar()
        if known in ("painted", "refused"):
            _forget(connection, clips, hash_, f"plate {known} before", now_s)
        elif known is None and plate.background is not None:
            insert_new(
                connection, plate_states, [_row(hash_, plate.site, node, "pending", None, now_s, None)]
            )


def pending(connection: Connection, sites: Iterable[str] | None) -> list[Candidate]:
    """Return the plates of these sites (None: of all) that wait, oldest first."""
    here = exists().where(blobs.c.hash == plate_states.c.hash)
    wanted = select(plate_states).where(plate_states.c.state == "pending", here)
    if sites is not None:
        wanted = wanted.where(plate_states.c.site.in_(list(sites)))
    rows = connection.execute(wanted.order_by(plate_states.c.came_s, plate_states.c.hash))
    return [Candidate(row.hash, row.site, row.node, row.came_s) for row in rows]


def candidate(connection: Connection, hash_: str) -> Candidate | None:
    """Return one plate that waits, None where there is none."""
    return next((each for each in pending(connection, None) if each.hash == hash_), None)


def shown(connection: Connection, clips: ClipFolder, hash_: str) -> Plate | None:
    """Return what clips that name a plate are drawn on; None where nothing of it is kept.

    A picture only once a person has approved it: the plan of the site before that and after a refusal.
    """
    row = connection.execute(
        select(plate_states.c.state, plate_states.c.instead).where(plate_states.c.hash == hash_)
    ).first()
    payload = clips.read(hash_ if row is None or row.instead is None else row.instead)
    if payload is None:
        return None
    plate = Plate.decode(payload)
    if plate.background is None or (row is not None and row.state in ("approved", "painted")):
        return plate
    return plan_of(plate)


def plan_of(plate: Plate) -> Plate:
    """Return a plate without its picture."""
    return plate.model_copy(update={"background": None})


def approve(connection: Connection, hash_: str, *, actor: str, now_s: int) -> None:
    """Let clips be drawn on a plate as it came.

    Raises:
        PlateError: it does not wait for anybody.
    """
    waiting = _waiting(connection, hash_)
    _decide(connection, hash_, "approved", None, actor, now_s)
    audit.append(
        connection,
        actor=actor,
        action="plate_approve",
        subject=hash_,
        detail={"site": waiting.site, "node": waiting.node},
        now_s=now_s,
    )


def paint(
    connection: Connection, clips: ClipFolder, hash_: str, cells: Iterable[int], *, actor: str, now_s: int
) -> str:
    """Hatch cells of a plate, approve what is left under a hash of its own, delete the candidate.

    Args:
        cells: row * columns + column of squares of ``paint.CELL_PX`` of the picture.

    Raises:
        PlateError: it does not wait for anybody, or cells that are none of its.
    """
    waiting = _waiting(connection, hash_)
    plate = _read(clips, hash_)
    assert plate.background is not None
    chosen = sorted(set(cells))
    try:
        left = plate.model_copy(update={"background": painted(plate.background, chosen)})
    except ValueError as error:
        raise PlateError(error.args[0]) from error
    new = _keep(connection, clips, left, now_s=now_s)
    _decide(connection, hash_, "painted", new, actor, now_s)
    approved = _row(new, waiting.site, waiting.node, "approved", actor, waiting.came_s, now_s)
    insert_new(connection, plate_states, [approved])
    _forget(connection, clips, hash_, "plate painted out", now_s)
    audit.append(
        connection,
        actor=actor,
        action="plate_paint",
        subject=hash_,
        detail={"site": waiting.site, "node": waiting.node, "plate": new, "cells": len(chosen)},
        now_s=now_s,
    )
    return new


def refuse(connection: Connection, clips: ClipFolder, hash_: str, *, actor: str, now_s: int) -> None:
    """Delete a plate's picture; clips that name it are drawn on the plan.

    Raises:
        PlateError: it does not wait for anybody.
    """
    waiting = _waiting(connection, hash_)
    plan = _keep(connection, clips, plan_of(_read(clips, hash_)), now_s=now_s)
    _decide(connection, hash_, "refused", plan, actor, now_s)
    _forget(connection, clips, hash_, "plate refused", now_s)
    audit.append(
        connection,
        actor=actor,
        action="plate_reject",
        subject=hash_,
        detail={"site": waiting.site, "node": waiting.node},
        now_s=now_s,
    )


def _waiting(connection: Connection, hash_: str) -> Candidate:
    found = candidate(connection, hash_)
    if found is None:
        raise PlateError(Told("plate {hash}: none that waits for approval", hash=hash_[:12]))
    return found


def _read(clips: ClipFolder, hash_: str) -> Plate:
    payload = clips.read(hash_)
    if payload is None:
        raise PlateError(Told("plate {hash}: not kept any more", hash=hash_[:12]))
    return Plate.decode(payload)


def _keep(connection: Connection, clips: ClipFolder, plate: Plate, *, now_s: int) -> str:
    payload = plate.encode()
    checked_plate(payload)
    hash_ = clips.write(payload)
    row = {"hash": hash_, "kind": "plate", "bytes": len(payload), "stored_s": now_s, "plate": None}
    insert_new(connection, blobs, [row])
    return hash_


def _row(
    hash_: str, site: str, node: str, state: str, actor: str | None, came_s: int, decided_s: int | None
) -> dict[str, Any]:
    values = (hash_, site, node, state, None, actor, came_s, decided_s)
    return dict(zip(plate_states.columns.keys(), values, strict=True))


def _decide(
    connection: Connection, hash_: str, state: str, instead: str | None, actor: str, now_s: int
) -> None:
    connection.execute(
        update(plate_states)
        .where(plate_states.c.hash == hash_)
        .values(state=state, instead=instead, actor=actor, decided_s=now_s)
    )


def _forget(connection: Connection, clips: ClipFolder, hash_: str, why: str, now_s: int) -> None:
    size = clips.size(hash_)
    clips.delete(hash_)
    connection.execute(delete(blobs).where(blobs.c.hash == hash_))
    prove(connection, "blobs", why, 1, size, now_s)
