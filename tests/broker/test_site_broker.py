"""`nearmiss broker`: a folder that is whole or not there, keys nobody else reads, dates that are shown."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.authority import read
from broker.site_broker import BrokerFolder, BrokerFolderError, acl, init
from edge.cli import app
from edge.errors import InputError
from tests.broker.secure import long_ago


def nearmiss(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["broker", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_init_makes_all_a_broker_needs_and_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    code, said = nearmiss(
        "init",
        folder,
        "--host",
        "broker.example",
        "--host",
        "192.0.2.7",
        "--node",
        "cam-n",
        "--node",
        "cam-s",
    )
    assert code == 0
    assert "mosquitto -c" in said
    assert said.count('host = "broker.example"') == 3
    made = BrokerFolder(folder)
    assert [(each.kind, each.name, each.certificate.name) for each in made.holders()][1:] == [
        ("server", "broker", "broker.example"),
        ("collector", "main", "collector.main"),
        ("node", "cam-n", "cam-n"),
        ("node", "cam-s", "cam-s"),
    ]
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    own = {f"{place}/{name}" for place in ("nodes/cam-n", "nodes/cam-s", "collectors/main") for name in OWN}
    assert names == own | {
        *("mosquitto.conf", "acl", "ca/ca.crt", "ca/ca.key", "ca/revoked.crl"),
        *("server/server.crt", "server/server.key"),
    }


OWN = ("ca.crt", "own.crt", "own.key")


def test_private_keys_are_read_by_their_owner_alone(tmp_path: Path) -> None:
    folder = init(tmp_path / "broker", hosts=("broker.example",), nodes=("cam-n",)).folder
    nearmiss("renew", folder, "--node", "cam-n", "--server")
    keys = [*folder.rglob("*.key")]
    assert len(keys) == 4
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("nodes/*")} == {0o700}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    init(folder, hosts=("broker.example",), nodes=("cam-n",))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BrokerFolderError, match="never overwritten"):
        nearmiss("init", folder, "--host", "broker.example")
    with pytest.raises(BrokerFolderError, match="there already"):
        nearmiss("add-node", folder, "cam-n")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_every_mistake_is_told_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "broker"
    with pytest.raises(BrokerFolderError) as caught:
        nearmiss(
            "init", folder, "--host", "not a host", "--node", "Cam_N", "--node", "ok", "--collector", "a.b"
        )
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "--host 'not a host'",
        "name 'Cam_N'",
        "name 'a.b'",
    ]
    assert not folder.exists()


def test_a_folder_that_fails_half_way_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("broker.site_broker.configuration", fails)
    with pytest.raises(OSError, match="No space"):
        init(tmp_path / "broker", hosts=("broker.example",))
    assert list(tmp_path.iterdir()) == []


def test_a_node_and_a_collector_are_added_and_revoked(tmp_path: Path) -> None:
    folder = init(tmp_path / "broker", hosts=("broker.example",)).folder
    assert nearmiss("add-node", folder, "cam-e")[0] == 0
    code, said = nearmiss("add-collector", folder, "second")
    assert (code, "reload" in said) == (0, True)
    assert read(folder / "nodes" / "cam-e" / "own.crt").name == "cam-e"
    assert "user collector.second\n" in (folder / "acl").read_text()
    assert nearmiss("revoke", folder, "--collector", "second")[0] == 0
    assert "collector.second" not in (folder / "acl").read_text()
    with pytest.raises(BrokerFolderError, match="no collector 'second'"):
        nearmiss("revoke", folder, "--collector", "second")
    with pytest.raises(InputError, match="name one"):
        nearmiss("revoke", folder)


def test_expiry_is_shown_and_what_ends_soon_is_renewed(tmp_path: Path) -> None:
    folder = init(tmp_path / "broker", hosts=("broker.example", "192.0.2.7"), nodes=("cam-n",)).folder
    made = BrokerFolder(folder)
    assert nearmiss("show", folder)[0] == 0
    made.add("node", "old", now=long_ago())
    made.add("node", "soon", days=10)
    code, said = nearmiss("show", folder)
    assert code == 1
    assert "EXPIRED" in next(line for line in said.splitlines() if " old " in line)
    assert "in 9 days" in next(line for line in said.splitlines() if " soon " in line)
    assert "renewed node old" in nearmiss("renew", folder, "--within", 30)[1]
    assert nearmiss("show", folder)[0] == 0
    assert "none ends that soon" in nearmiss("renew", folder, "--within", 30)[1]
    with pytest.raises(InputError, match="name whose"):
        nearmiss("renew", folder)


def test_another_folder_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(BrokerFolderError, match="no broker folder"):
        nearmiss("show", tmp_path)


def test_the_list_of_who_may_what_names_only_our_topics() -> None:
    assert (
        acl(["main"])
        == """\
# Each node: its own messages, and its own receipts. Whatever is not named here is refused.
pattern write nearmiss/v1/+/%u/event
pattern write nearmiss/v1/+/%u/counts
pattern write nearmiss/v1/+/%u/clip
pattern write nearmiss/v1/+/%u/plate
pattern write nearmiss/v1/+/%u/status
pattern read nearmiss/v1/+/%u/receipt

user collector.main
topic read nearmiss/v1/+/+/event
topic read nearmiss/v1/+/+/counts
topic read nearmiss/v1/+/+/clip
topic read nearmiss/v1/+/+/plate
topic read nearmiss/v1/+/+/status
topic write nearmiss/v1/+/+/receipt
topic write nearmiss/published/v1/+/+
"""
    )
