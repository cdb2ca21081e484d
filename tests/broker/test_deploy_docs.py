"""docs/deploy.md, done for real: its commands on a PostgreSQL as Debian sets one up, and on a broker."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from broker.collector.store import Store, stored_events
from broker.embedded import ends_with_parent, free_port, start_broker, stop_child
from broker.mqtt import Session, wait_until
from broker.topics import Address
from tests.broker import postgres
from tests.broker.records import NODE, SITE, event
from tests.conftest import ROOT
from tests.edge.running import Running

pytestmark = pytest.mark.broker

PAGE = (ROOT / "docs" / "deploy.md").read_text()
# As Debian's pg_createcluster writes it.
PG_HBA = """
local all postgres peer
local all all peer
host all all 127.0.0.1/32 scram-sha-256
"""
WORD = "a word of twenty letters"
END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away'"


@dataclass
class Debian:
    """A PostgreSQL of the user postgres, who alone gets in, by its socket."""

    port: int
    socket: Path
    programs: Path
    user: str

    def run(self, command: str, *, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the page for the user postgres, without a terminal to be asked on."""
        words = shlex.split(command, comments=True)
        assert words[:3] == ["sudo", "-u", "postgres"]
        return subprocess.run(
            [str(self.programs / words[3]), *words[4:]],
            input=said,
            capture_output=True,
            text=True,
            check=False,
            user=self.user,
            cwd=self.socket,
            env={"PGHOST": str(self.socket), "PGPORT": str(self.port), "PATH": os.environ["PATH"]},
            start_new_session=True,
        )


@pytest.fixture
def debian() -> Iterator[Debian]:
    programs = postgres.bin_folder()
    if programs is None or os.geteuid() != 0:
        pytest.skip("needs PostgreSQL and root, to be the user postgres")
    folder = Path(tempfile.mkdtemp(prefix="nearmiss-debian-"))
    shutil.chown(folder, "postgres")
    store, port = folder / "store", free_port()
    try:
        initdb = [str(programs / "initdb"), "-D", str(store), "-U", "postgres", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user="postgres", cwd=folder)
        (store / "pg_hba.conf").write_text(PG_HBA)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", store, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"],
                stdout=log,
                stderr=log,
                user="postgres",
                cwd=folder,
                preexec_fn=ends_with_parent(),
            )
        try:
            deadline = time.monotonic() + 60
            ready = [str(programs / "pg_isready"), "-q", "-h", str(folder), "-p", str(port)]
            while subprocess.run(ready, check=False).returncode:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            yield Debian(port, folder, programs, "postgres")
        finally:
            stop_child(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def code(language: str, holding: str) -> str:
    """Return the one block of the page that holds some words."""
    [block] = [each for each in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if holding in each]
    return str(block)


def commands(holding: str) -> list[str]:
    return [line for line in code("sh", holding).splitlines() if line and not line.startswith("#")]


def collect(config: Path, environment: Mapping[str, str]) -> Running:
    return Running(config, environment, program=("-m", "edge", "collect"))


def test_the_commands_for_postgresql_make_a_store_that_a_collector_uses(
    debian: Debian, tmp_path: Path
) -> None:
    for command in commands("createuser"):
        done = debian.run(command, said=f"{WORD}\n{WORD}\n")
        assert done.returncode == 0, done.stderr
    [pgpass] = re.findall(r"^(127\.0\.0\.1:5432:\S+)$", PAGE, re.M)
    (tmp_path / "pgpass").write_text(
        pgpass.replace("5432", str(debian.port)).replace("PASSWORD", WORD) + "\n"
    )
    (tmp_path / "pgpass").chmod(0o600)
    [database] = re.findall(r'^database = "(postgresql\S+)"', PAGE, re.M)
    database = database.replace("@127.0.0.1/", f"@127.0.0.1:{debian.port}/")
    with start_broker() as broker:
        config = tmp_path / "collector.toml"
        config.write_text(
            f'[broker]\nport = {broker.port}\n[store]\ndatabase = "{database}"\n[review]\nenabled = false\n'
        )
        stranger = collect(config, {"PGPASSFILE": str(tmp_path / "none"), "HOME": str(tmp_path)})
        assert stranger.child.wait(30) == 2
        stranger.close()
        [line] = stranger.lines
        assert "password" in line

        collector = collect(config, {"PGPASSFILE": str(tmp_path / "pgpass")})
        node = Session(host=broker.host, port=broker.port, client_id="n", version=broker.mqtt_version)
        try:
            collector.until_said("connected to the broker")
            assert wait_until(node, lambda: node.connected, timeout_s=10)
            record = event()
            node.publish(Address(SITE, NODE, "event").topic, record.encode())
            os.environ["PGPASSFILE"] = str(tmp_path / "pgpass")
            with contextlib.closing(Store(database)) as store:
                deadline = time.monotonic() + 20
                while not (found := stored(store)):
                    assert time.monotonic() < deadline, collector.lines
                    node.step(0.05)
            assert found == [record]
        finally:
            os.environ.pop("PGPASSFILE", None)
            node.close()
            collector.close()


def stored(store: Store) -> list[object]:
    with store.read() as connection:
        return list(stored_events(connection))


def test_postgresql_that_goes_away_gives_no_receipt_and_takes_all_when_it_is_back(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.collector.clips import ClipFolder
    from broker.collector.collector import Collector
    from broker.collector.intake import Intake
    from edge.outbox import Outbox
    from tests.broker.test_two_collectors import publisher

    monkeypatch.setattr("broker.collector.collector.STORE_PAUSE_S", 0.1)
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS away"))
        connection.execute(text("CREATE DATABASE away"))
    store = Store(postgres_url.rpartition("/")[0] + "/away")
    store.migrate()
    put = set()
    with start_broker() as broker, Outbox(tmp_path / "outbox.db", retry_s=0.3) as outbox:
        collector = Collector(
            Intake(store, ClipFolder(tmp_path / "clips")), host=broker.host, port=broker.port
        )
        collector.start()
        with publisher(outbox, broker.port):
            for n in range(60):
                record = event()
                put.add(record.id)
                outbox.put_event(record, None, due=time.time())
                if n == 20:
                    with admin.connect() as connection:
                        connection.execute(text("ALTER DATABASE away ALLOW_CONNECTIONS false"))
                        connection.execute(text(END_ALL))
                time.sleep(0.01)
            deadline = time.monotonic() + 30
            while not collector.store_fails:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert outbox.level().rows > 0, "what is not stored has no receipt"
            with admin.connect() as connection:
                connection.execute(text("ALTER DATABASE away ALLOW_CONNECTIONS true"))
            while outbox.level().rows:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        collector.close()
    with store.read() as connection:
        found = [each.id for each in stored_events(connection)]
    store.close()
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE away WITH (FORCE)"))
    admin.dispose()
    assert set(found) == put
    assert len(found) == len(put)


def test_the_commands_for_a_broker_are_run_once_and_never_over_what_is_there(tmp_path: Path) -> None:
    [line] = [each for each in commands("broker init") if each.startswith("nearmiss broker init")]
    words = shlex.split(line.replace("/etc/mosquitto/nearmiss", str(tmp_path / "broker")))
    command = [sys.executable, "-m", "edge", *words[1:]]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "broker" / "mosquitto.conf").exists()
    before = {path: path.read_bytes() for path in (tmp_path / "broker").rglob("*") if path.is_file()}
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "never overwritten" in again.stderr
    assert "Traceback" not in again.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("daemon", ["run", "collect"])
def test_off_this_machine_no_daemon_starts_without_tls(daemon: str, tmp_path: Path) -> None:
    config = tmp_path / f"{daemon}.toml"
    node = '[node]\nid = "cam-n"\nsite = "site.toml"\n[source]\nurl = "rtsp://127.0.0.1:9/x"\n'
    config.write_text((node if daemon == "run" else "") + '[broker]\nhost = "broker.example"\n')
    done = subprocess.run(
        [sys.executable, "-m", "edge", daemon, str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "tls" in done.stderr
    assert "Traceback" not in done.stderr
