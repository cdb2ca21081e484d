"""The query of every page of the queue: what is wanted, from where on, and what was just decided."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BaseModel, Field

from broker.collector.findings import Filter


class Wanted(BaseModel):
    state: Literal["", "undecided", "confirm", "reject", "unclear"] = ""
    site: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = ""
    rule: Annotated[str, Field(pattern=r"^[a-z_]{0,40}$")] = ""
    after: UUID | None = None
    said: UUID | None = None
    as_: Annotated[Literal["", "confirm", "reject", "unclear"], Field(alias="as")] = ""
    meanwhile: bool = False

    def filter(self) -> Filter:
        return Filter(self.state or None, self.site or None, self.rule or None)


def suffix(wanted: Filter, **more: str | None) -> str:
    """Return the query that keeps the filter from page to page."""
    more = {name.rstrip("_"): value for name, value in more.items()}
    values = {"state": wanted.state, "site": wanted.site, "rule": wanted.rule, **more}
    query = urlencode({name: value for name, value in values.items() if value})
    return f"?{query}" if query else ""
