"""The `[review.oidc]` table of collector.toml: the OpenID provider at which people may sign in."""

from __future__ import annotations

import importlib.util
import ssl
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from broker.address import ConfigRecord
from broker.loopback import is_loopback

FilePath = Annotated[str, Field(min_length=1, max_length=500)]


class Oidc(ConfigRecord):
    """Which provider, and as which client we are known there."""

    # Word for word as the provider's discovery document and its tokens say it.
    issuer: Annotated[str, Field(max_length=300)]
    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    client_secret_file: FilePath | None = None  # absent: a public client, that proves itself by PKCE alone
    name: Annotated[str, Field(min_length=1, max_length=40)] = "OpenID Connect"  # on the button
    ca: FilePath | None = None  # PEM; absent: the authorities this machine trusts
    # How somebody must have proved who they are there (the claim `acr`), such as with a second factor.
    acr: Annotated[tuple[Annotated[str, Field(pattern=r"^\S{1,200}$")], ...], Field(max_length=10)] = ()

    @field_validator("issuer")
    @classmethod
    def _an_issuer(cls, url: str) -> str:
        if not encrypted(url) or urlsplit(url).query or urlsplit(url).fragment:
            raise ValueError("expected https://NAME, as the provider says it (http:// on this machine only)")
        return url

    def beside(self, path: Path) -> Self:
        """Return the same with files taken from the folder of the configuration file."""
        files = {"client_secret_file": self.client_secret_file, "ca": self.ca}
        changes = {name: str(path.parent / value) for name, value in files.items() if value is not None}
        return self.model_copy(update=changes)

    def secret(self) -> str | None:
        """Return the client's secret, None for a public client.

        Raises:
            OSError: the file cannot be read.
            ValueError: it may be read by others, or is not one line.
        """
        if self.client_secret_file is None:
            return None
        path = Path(self.client_secret_file)
        text = path.read_text().strip()
        if path.stat().st_mode & 0o077:
            raise ValueError("may be read by others; expected mode 0600 (chmod 600)")
        if not text or not text.isascii() or len(text.split()) != 1:
            raise ValueError("expected the client's secret alone, on one line")
        return text

    def trust(self) -> ssl.SSLContext:
        """Return what the provider's certificate is checked with.

        Raises:
            OSError: the file cannot be read, or is no certificate (ssl.SSLError).
        """
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def problems(self, place: str) -> list[str]:
        """Return one line per thing that cannot be used; ``place`` is the file and table."""
        lines = []
        try:
            self.secret()
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            lines.append(f"{place}.client_secret_file: {self.client_secret_file}: {said}")
        try:
            self.trust()
        except OSError as error:
            said = "is no certificate (PEM)" if isinstance(error, ssl.SSLError) else error.strerror or error
            lines.append(f"{place}.ca: {self.ca}: {said}")
        if missing := [name for name in ("authlib", "httpx2", "joserfc") if not _installed(name)]:
            lines.append(f"{place}: {', '.join(missing)} is not installed: pip install 'nearmiss[oidc]'")
        return lines


def encrypted(url: str) -> bool:
    """Return whether an address is reached by https, or without it on this machine alone."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.password or not url.isascii() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
