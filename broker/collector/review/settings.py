"""The `[review]` table of collector.toml: where the pages are, who may come in how, how long for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from broker.address import ConfigRecord
from broker.collector.review.oidc_settings import Oidc
from broker.collector.wording import N_
from broker.loopback import is_loopback

if TYPE_CHECKING:
    # Not at run time: a node checks a collector's file without the collector's libraries.
    from broker.collector.second_look import Policy
    from broker.collector.sessions import Times

FilePath = Annotated[str, Field(min_length=1, max_length=500)]
Host = Annotated[str, Field(min_length=1, max_length=255)]


class Reason(ConfigRecord):
    """Why somebody rejects an event or finds it unclear; a word from a list, never free text."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    words: Annotated[str, Field(min_length=1, max_length=60)]
    verdicts: Annotated[tuple[Literal["reject", "unclear"], ...], Field(min_length=1, max_length=2)]
    sites: Annotated[tuple[str, ...], Field(max_length=200)] = ()  # none: every site


REASONS = (
    Reason(code="nobody_there", words=N_("Nobody is there"), verdicts=("reject",)),
    Reason(code="wrong_place", words=N_("Not where it is said to be"), verdicts=("reject",)),
    Reason(code="legal_move", words=N_("Allowed as it was done"), verdicts=("reject",)),
    Reason(code="wrong_signal", words=N_("The signal showed something else"), verdicts=("reject",)),
    Reason(code="wrong_kind", words=N_("Another kind of road user"), verdicts=("reject",)),
    Reason(code="emergency", words=N_("Emergency vehicle or works"), verdicts=("reject",)),
    Reason(code="hidden", words=N_("Hidden at the moment"), verdicts=("unclear",)),
    Reason(code="too_coarse", words=N_("The drawing is too coarse"), verdicts=("unclear",)),
    Reason(code="signal_unknown", words=N_("The signal is not known"), verdicts=("unclear",)),
    Reason(code="no_drawing", words=N_("No drawing"), verdicts=("unclear",)),
)


class Review(ConfigRecord):
    """Where the pages listen, and for how long somebody stays signed in."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    # What people type: its host is the only name the pages answer to, beside this machine's own.
    public_url: Annotated[str, Field(max_length=300)] | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    # The address of a proxy that ends TLS in front of the pages: its X-Forwarded-For is believed.
    proxy: Host | None = None
    # An OpenID provider at which people may sign in too.
    oidc: Oidc | None = None
    idle_min: Annotated[int, Field(ge=1, le=240)] = 30
    session_h: Annotated[int, Field(ge=1, le=24)] = 12
    # None: each reader's own, as the browser asks for it, else English.
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] | None = None
    reasons: Annotated[tuple[Reason, ...], Field(max_length=40)] = REASONS
    # Two people have to agree on severe events and on a share of the others; a share is asked once more.
    second_severe: bool = True
    second_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    recheck_share: Annotated[float, Field(ge=0, le=1)] = 0.02

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("expected https://NAME or https://NAME:PORT, nothing behind it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _encrypted_off_this_machine(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        if self.certificate is not None and self.proxy is not None:
            raise ValueError("either certificate and key, or a proxy that ends TLS: not both")
        if not is_loopback(self.host):
            if self.certificate is None and self.proxy is None:
                raise ValueError(
                    f"{self.host} is reached from other machines, with TLS only: expected certificate and "
                    "key, or proxy = the address of a proxy that ends TLS"
                )
            if self.public_url is None:
                raise ValueError(
                    "public_url is missing: the address people type, such as https://review.example.org"
                )
        if self.proxy is not None and self.public_url is None:
            raise ValueError("public_url is missing: behind a proxy, the address people type")
        return self

    def beside(self, path: Path) -> Self:
        """Return the same with files taken from the folder of the configuration file."""
        changes: dict[str, object] = {
            name: str(path.parent / value)
            for name, value in (("certificate", self.certificate), ("key", self.key))
            if value is not None
        }
        if self.oidc is not None:
            changes["oidc"] = self.oidc.beside(path)
        return self.model_copy(update=changes)

    @property
    def hosts(self) -> frozenset[str]:
        """Return the names, with port where one is typed, the pages answer to; empty ports mean any."""
        named = {urlsplit(self.public_url).netloc.lower()} if self.public_url else set()
        return frozenset(named)

    @property
    def secure(self) -> bool:
        """Return whether browsers reach the pages by https."""
        return self.certificate is not None or self.proxy is not None

    @property
    def policy(self) -> Policy:
        from broker.collector.second_look import Policy

        return Policy(self.second_severe, self.second_share, self.recheck_share)

    def reasons_for(self, verdict: str, site: str) -> list[Reason]:
        """Return the reasons there are for a verdict at a site, nine at most: each has a key."""
        fitting = [
            reason
            for reason in self.reasons
            if verdict in reason.verdicts and (not reason.sites or site in reason.sites)
        ]
        return fitting[:9]

    @property
    def times(self) -> Times:
        from broker.collector.sessions import Times

        return Times(self.idle_min * 60, self.session_h * 3600)
