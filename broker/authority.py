"""A small CA of our own: a certificate says who one node, one collector or the broker is.

The only importer of cryptography. Keys are P-256. A renewal replaces a certificate and its key, each file
whole or not at all; the certificate before stays good until its own end, or until it is revoked.

Sources: RFC 5280 (profile), CA/Browser Forum Baseline Requirements for names in subjectAltName.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Role = Literal["server", "client"]
CA_DAYS = 3650
DAYS = 730
# A node whose clock is behind must not find its new certificate to be of the future.
BACKDATED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says: its name, and from when to when it holds."""

    name: str
    serial: int
    begins: datetime
    ends: datetime


class Authority:
    """The CA of one folder: ``ca.crt``, ``ca.key`` and ``revoked.crl``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def certificate_path(self) -> Path:
        return self._folder / "ca.crt"

    @property
    def revoked_path(self) -> Path:
        return self._folder / "revoked.crl"

    def create(self, *, now: datetime | None = None, days: int = CA_DAYS) -> None:
        """Make the CA's key and certificate, and an empty list of revoked certificates."""
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"nearmiss broker CA {secrets.token_hex(4)}")  # two CAs never look alike
        certificate = (
            _builder(name, name, key.public_key(), now - BACKDATED, now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write(self._folder / "ca.key", _pem(key), mode=0o600)
        write(self.certificate_path, certificate.public_bytes(Encoding.PEM), mode=0o644)
        self._write_revoked([], now)

    def issue(
        self,
        name: str,
        role: Role,
        *,
        certificate: Path,
        key: Path,
        hosts: tuple[str, ...] = (),
        now: datetime | None = None,
        days: int = DAYS,
    ) -> None:
        """Write a new certificate with its key; what lies there before is replaced.

        Args:
            hosts: names and addresses a server is reached by.
        """
        now = now or datetime.now(UTC)
        signer, ours = self._key(), self._certificate()
        fresh = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if role == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        ends = min(now + timedelta(days=days), ours.not_valid_after_utc)
        builder = (
            _builder(_name(name), ours.subject, fresh.public_key(), now - BACKDATED, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
            )
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False
            )
        write(key, _pem(fresh), mode=0o600)
        write(certificate, builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM), mode=0o644)

    def revoke(self, serial: int, *, now: datetime | None = None) -> None:
        """Put a certificate on the list of those the broker refuses."""
        now = now or datetime.now(UTC)
        before = list(x509.load_pem_x509_crl(self.revoked_path.read_bytes()))
        if any(each.serial_number == serial for each in before):
            return
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        self._write_revoked([*before, entry], now)

    def _write_revoked(self, entries: list[x509.RevokedCertificate], now: datetime) -> None:
        ours = self._certificate()
        # A list past its next update makes OpenSSL refuse everybody: it holds as long as the CA does.
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=ours.subject, last_update=now - BACKDATED, next_update=ours.not_valid_after_utc
        )
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        signed = builder.sign(self._key(), hashes.SHA256())
        write(self.revoked_path, signed.public_bytes(Encoding.PEM), mode=0o644)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key((self._folder / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self._folder / 'ca.key'}: not the key this made")
        return key

    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_path.read_bytes())


def read(path: Path) -> Certificate:
    """Return what a certificate says.

    Raises:
        OSError, ValueError: it is not there, or none.
    """
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        str(name.value),
        certificate.serial_number,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def hosts_of(path: Path) -> tuple[str, ...]:
    """Return the names and addresses a server's certificate is for."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(each.value) for each in names)


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file whole or not at all, never for an instant readable to more than ``mode`` says."""
    aside = path.with_name(path.name + ".part")
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.chmod(mode)
    aside.replace(path)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
