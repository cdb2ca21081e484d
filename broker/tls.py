"""Who proves what to whom: the three files of a TLS connection to the broker.

Both sides show a certificate of the same small CA (`nearmiss broker init`); the name in ours is who we are.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """The CA that signed the broker's certificate, and our own certificate with its private key (PEM)."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what a connection is made with; read anew each time, so that a renewed file counts.

        Raises:
            OSError: a file cannot be read, or is not what it should be (ssl.SSLError).
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _Socket
        context.load_cert_chain(self.certificate, self.key, password=_no_password)
        return context

    def problems(self) -> list[str]:
        """Return one line per file that cannot be used, such as ``ca: ...``; empty where all can."""
        lines = []
        for name, path in (("ca", self.ca), ("certificate", self.certificate), ("key", self.key)):
            try:
                text = path.read_bytes()
            except OSError as error:
                lines.append(f"{name}: {path} cannot be read: {error.strerror or error}")
                continue
            wanted = b"PRIVATE KEY-----" if name == "key" else b"-----BEGIN CERTIFICATE-----"
            if wanted not in text:
                lines.append(
                    f"{name}: {path} is no {'private key' if name == 'key' else 'certificate'} (PEM)"
                )
            elif name == "key" and path.stat().st_mode & 0o077:
                lines.append(f"key: {path} may be read by others; expected mode 0600 (chmod 600)")
        if not lines:
            try:
                self.context()
            except ssl.SSLError as error:
                if error.reason == "KEY_VALUES_MISMATCH":
                    lines.append(f"key: {self.key} is not the key of {self.certificate}")
                else:
                    lines.append(f"cannot be used: {error.reason or error}")
        return lines


class _Socket(ssl.SSLSocket):
    """Closed at once where the other side cannot prove itself; paho leaves that to chance."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _no_password() -> str:
    # Without this OpenSSL would ask at the terminal, and a daemon would wait for ever.
    raise ssl.SSLError(1, "the key has a password; expected one without")
