"""The `[review]` table of collector.toml: where the pages are, who may come in how, how long for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from broker.collector.sessions import Times
from broker.loopback import is_loopback

FilePath = Annotated[str, Field(min_length=1, max_length=500)]
Host = Annotated[str, Field(min_length=1, max_length=255)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Oidc(_Record):
    """An identity provider to sign in at; accounts are still made here (`nearmiss user add --oidc`)."""

    issuer: Annotated[str, Field(min_length=1, max_length=500)]
    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    client_secret_file: FilePath
    name: Annotated[str, Field(min_length=1, max_length=40)] = "single sign-on"

    @field_validator("issuer")
    @classmethod
    def _encrypted(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            return issuer.rstrip("/")
        raise ValueError("an identity provider is reached by https (http on this machine alone)")


class Review(_Record):
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
    idle_min: Annotated[int, Field(ge=1, le=240)] = 30
    session_h: Annotated[int, Field(ge=1, le=24)] = 12
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"
    oidc: Oidc | None = None

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
            secret = str(path.parent / self.oidc.client_secret_file)
            changes["oidc"] = self.oidc.model_copy(update={"client_secret_file": secret})
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
    def times(self) -> Times:
        return Times(self.idle_min * 60, self.session_h * 3600)
