"""The folder of a production broker: mosquitto's configuration, who may write where, and the certificates.

``init`` makes it beside and renames it into place: it is there as a whole or not at all.

    DIR/mosquitto.conf  acl             what mosquitto reads
    DIR/ca/             ca.crt ca.key revoked.crl
    DIR/server/         server.crt server.key
    DIR/nodes/NAME/     ca.crt own.crt own.key      copy to the node's host
    DIR/collectors/NAME/  the same                  copy to the collector's host
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from broker import authority
from broker.authority import Authority, Certificate
from broker.topics import INTAKE, MAX_BYTES, publication_topic

Kind = Literal["node", "collector"]
PORT = 8883
MEMORY_BYTES = 512 * 2**20
_NODE = re.compile(r"[a-z0-9-]{1,40}")
_HOST = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
# A node's id holds no dot, so no node can be named as a collector is.
COLLECTOR_PREFIX = "collector."


class BrokerFolderError(ValueError):
    """What was asked cannot be done; ``problems`` holds one line per mistake."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose certificate: a node, a collector, the broker itself or the CA."""

    kind: Literal["node", "collector", "server", "ca"]
    name: str
    path: Path
    certificate: Certificate


class BrokerFolder:
    """One folder made by ``init``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.authority = Authority(self.folder / "ca")
        if not (self.folder / "ca" / "ca.key").is_file():
            raise BrokerFolderError(
                [f"{folder}: no broker folder (it has no ca/ca.key); see nearmiss broker init"]
            )

    def add(self, kind: Kind, name: str, *, days: int = authority.DAYS, now: datetime | None = None) -> Path:
        """Give a node or a collector its certificate; return the folder to copy to its host.

        Raises:
            BrokerFolderError: not a name, or one that is taken.
        """
        problems = name_problems([name])
        place = self._place(kind, name)
        if place.exists():
            problems.append(f"{place}: there already; renew it, or revoke it first")
        if problems:
            raise BrokerFolderError(problems)
        with _aside(place) as folder:
            self.authority.issue(
                identity(kind, name),
                "client",
                certificate=folder / "own.crt",
                key=folder / "own.key",
                days=days,
                now=now,
            )
            shutil.copyfile(self.authority.certificate_path, folder / "ca.crt")
        self._write_acl()
        return place

    def renew(self, holder: Holder, *, days: int = authority.DAYS, now: datetime | None = None) -> None:
        """Replace a certificate and its key; the one before stays good until its own end."""
        certificate = holder.path
        hosts = authority.hosts_of(certificate) if holder.kind == "server" else ()
        self.authority.issue(
            holder.certificate.name,
            "server" if holder.kind == "server" else "client",
            certificate=certificate,
            key=certificate.with_suffix(".key"),
            hosts=hosts,
            days=days,
            now=now,
        )
        if holder.kind == "server":
            _give_to_mosquitto(certificate.with_suffix(".key"))

    def revoke(self, holder: Holder, *, now: datetime | None = None) -> None:
        """Refuse a certificate from now on, and forget its files."""
        self.authority.revoke(holder.certificate.serial, now=now)
        shutil.rmtree(holder.path.parent)
        self._write_acl()

    def holders(self) -> list[Holder]:
        """Return everyone with a certificate: the CA, the broker, collectors, nodes."""
        found = [
            Holder(
                "ca", "CA", self.authority.certificate_path, authority.read(self.authority.certificate_path)
            )
        ]
        server = self.folder / "server" / "server.crt"
        found.append(Holder("server", "broker", server, authority.read(server)))
        for kind in ("collector", "node"):
            for path in sorted((self.folder / f"{kind}s").glob("*/own.crt")):
                found.append(Holder(kind, path.parent.name, path, authority.read(path)))
        return found

    def holder(self, kind: Literal["node", "collector", "server"], name: str) -> Holder:
        """Return one of them.

        Raises:
            BrokerFolderError: there is none of that name.
        """
        for each in self.holders():
            if each.kind == kind and (each.name == name or kind == "server"):
                return each
        raise BrokerFolderError([f"{self.folder}: no {kind} {name!r}; see nearmiss broker show"])

    def _place(self, kind: Kind, name: str) -> Path:
        return self.folder / f"{kind}s" / name

    def _write_acl(self) -> None:
        names = sorted(path.name for path in (self.folder / "collectors").iterdir() if path.is_dir())
        authority.write(self.folder / "acl", acl(names).encode(), mode=0o600)
        _give_to_mosquitto(self.folder / "acl")


def init(
    folder: Path,
    *,
    hosts: Iterable[str],
    nodes: Iterable[str] = (),
    collectors: Iterable[str] = ("main",),
    port: int = PORT,
    listen: str | None = None,
    days: int = authority.DAYS,
    now: datetime | None = None,
) -> BrokerFolder:
    """Make the folder of a new broker.

    Args:
        hosts: names and addresses it is reached by; this machine's loopback is added.
        listen: the one address to listen on; by default all of this machine's.

    Raises:
        BrokerFolderError: a name is none, or the folder holds something: it is never overwritten.
    """
    hosts, nodes, collectors = tuple(hosts), tuple(nodes), tuple(collectors)
    problems = [f"--host {each!r}: not a host name or address" for each in hosts if not _HOST.fullmatch(each)]
    problems += name_problems([*nodes, *collectors])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problems.append(f"{folder}: holds something already; it is never overwritten")
    if listen is not None and not _HOST.fullmatch(listen):
        problems.append(f"--listen {listen!r}: not an address")
    if not hosts:
        problems.append("--host: expected at least one name or address that nodes reach the broker by")
    if problems:
        raise BrokerFolderError(problems)
    place = folder.resolve()
    with _aside(place) as aside:
        for name in ("ca", "server", "nodes", "collectors"):
            (aside / name).mkdir()
        aside.chmod(0o755)
        (aside / "ca").chmod(0o755)
        maker = Authority(aside / "ca")
        maker.create(now=now)
        maker.issue(
            hosts[0],
            "server",
            certificate=aside / "server" / "server.crt",
            key=aside / "server" / "server.key",
            hosts=tuple(dict.fromkeys((*hosts, "localhost", "127.0.0.1"))),
            days=days,
            now=now,
        )
        (aside / "mosquitto.conf").write_text(configuration(place, port, listen))
        made = BrokerFolder(aside)
        for name in dict.fromkeys(collectors):
            made.add("collector", name, days=days, now=now)
        for name in dict.fromkeys(nodes):
            made.add("node", name, days=days, now=now)
        made._write_acl()
        _give_to_mosquitto(aside / "server" / "server.key")
    return BrokerFolder(place)


def identity(kind: Kind, name: str) -> str:
    """Return the name in a certificate, by which the broker knows its holder."""
    return name if kind == "node" else f"{COLLECTOR_PREFIX}{name}"


def name_problems(names: Iterable[str]) -> list[str]:
    """Return one line per name that no node may have."""
    return [
        f"name {name!r}: expected 1 to 40 of a-z, 0-9 and -" for name in names if not _NODE.fullmatch(name)
    ]


def acl(collectors: Iterable[str]) -> str:
    """Return who may write and read what; %u is the name in the certificate."""
    lines = ["# Each node: its own messages, and its own receipts. Whatever is not named here is refused."]
    lines += [f"pattern write nearmiss/v1/+/%u/{kind}" for kind in INTAKE]
    lines.append("pattern read nearmiss/v1/+/%u/receipt")
    for name in collectors:
        lines += ["", f"user {identity('collector', name)}"]
        lines += [f"topic read nearmiss/v1/+/+/{kind}" for kind in INTAKE]
        lines.append("topic write nearmiss/v1/+/+/receipt")
        lines.append(f"topic write {publication_topic('+', '+')}")
    return "\n".join(lines) + "\n"


def configuration(folder: Path, port: int, listen: str | None = None) -> str:
    """Return mosquitto.conf: TLS with a certificate of our CA on both sides, nothing without."""
    largest = max(MAX_BYTES.values()) + 1024
    return f"""# Made by `nearmiss broker init`. mosquitto -c {folder}/mosquitto.conf
listener {port}{f" {listen}" if listen else ""}
cafile {folder}/ca/ca.crt
certfile {folder}/server/server.crt
keyfile {folder}/server/server.key
crlfile {folder}/ca/revoked.crl
# Who connects is the name in its certificate, as user and as client: nobody takes another's place.
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {folder}/acl
# Nothing is kept on this disk: an outbox holds each message until its receipt.
persistence false
max_packet_size {largest}
# mosquitto 2.0.11 counts every message and byte it ever queued: such a limit is reached for good one day.
# A node sends 20 without a receipt at most, and a collector that stands still is dropped in half a minute.
max_queued_messages 2000000000
max_inflight_messages 200
memory_limit {MEMORY_BYTES}
log_type error
log_type warning
log_type notice
"""


@contextlib.contextmanager
def _aside(place: Path) -> Iterator[Path]:
    """Yield a private folder that becomes ``place`` when all went well, and vanishes when not."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        yield aside
        if place.is_dir():
            place.rmdir()  # empty: it was looked at
        aside.rename(place)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _give_to_mosquitto(path: Path) -> None:
    """Let mosquitto read its key and list: it gives up root before it does."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam("mosquitto")
            os.chown(path, user.pw_uid, user.pw_gid)
