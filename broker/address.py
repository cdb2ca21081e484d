"""Where the broker is, as node.toml and collector.toml both say it; mistakes in either, a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from broker.loopback import is_loopback
from broker.tls import Tls

FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
Port = Annotated[int, Field(ge=1, le=65535)]


class ConfigRecord(BaseModel):
    """A table of a configuration file: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class TlsFiles(ConfigRecord):
    """The files that `nearmiss broker init` makes for each node and collector; relative to the file."""

    ca: FilePath
    certificate: FilePath
    key: FilePath


class BrokerAddress(ConfigRecord):
    """Where the MQTT broker listens."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 1883
    tls: Annotated[TlsFiles | None, Field(validate_default=True)] = None

    @field_validator("tls")
    @classmethod
    def _encrypted_off_this_machine(cls, tls: TlsFiles | None, info: ValidationInfo) -> TlsFiles | None:
        host = info.data.get("host")
        if tls is None and host is not None and not is_loopback(host):
            raise ValueError(
                f"{host} is another machine, reached with TLS only: "
                "expected tls = { ca, certificate, key } (nearmiss broker init)"
            )
        return tls

    def beside(self, path: Path) -> Self:
        """Return the same with TLS files taken from the folder of the configuration file."""
        if self.tls is None:
            return self
        files = {name: str(path.parent / value) for name, value in self.tls.model_dump().items()}
        return self.model_copy(update={"tls": TlsFiles(**files)})

    @property
    def tls_files(self) -> Tls | None:
        """Return what a session proves itself with; None without TLS."""
        if self.tls is None:
            return None
        return Tls(Path(self.tls.ca), Path(self.tls.certificate), Path(self.tls.key))

    def tls_problems(self, place: str) -> list[str]:
        """Return one line per TLS file that cannot be used; ``place`` is the file and table."""
        tls = self.tls_files
        return [] if tls is None else [f"{place}.tls.{line}" for line in tls.problems()]


def problem_lines(path: Path, error: ValidationError) -> list[str]:
    """Return one line per mistake pydantic found: file, place, what came, what was expected."""
    lines = []
    for mistake in error.errors(include_url=False):
        place = ".".join(str(part) for part in mistake["loc"]) or "the file"
        text = repr(mistake["input"])
        came = (
            ""
            if mistake["type"] == "missing"
            else f" (came: {text if len(text) <= 60 else text[:57] + '...'})"
        )
        lines.append(f"{path}: {place}: {mistake['msg'].removeprefix('Value error, ')}{came}")
    return lines
