"""Every broken message of the corpus is refused with a reason, stops no other and crashes nothing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.collector.clips import ClipFolder
from broker.collector.intake import Intake
from broker.collector.store import Store, stored_events
from broker.collector.tables import dead_letters
from broker.topics import Address
from broker.wire import Receipt
from tests.broker.records import NODE, SITE, event

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
HERE = Address(SITE, NODE, "event")


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Intake:
    folder = tmp_path_factory.mktemp("fuzz")
    store = Store(f"sqlite:///{folder / 'collector.db'}")
    store.migrate()
    return Intake(store, ClipFolder(folder / "clips"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_broken_message_lands_in_the_dead_letters(intake: Intake, path: Path) -> None:
    kind = path.name.partition("-")[0]
    topic = f"nearmiss/v1/{SITE}/{NODE}/{kind}"
    good, refused = event(), intake.stored["refused"]
    receipts = intake.take([(topic, path.read_bytes()), (HERE.topic, good.encode())])
    assert receipts == [(HERE.to("receipt"), Receipt(ids=(good.id,)))]
    assert intake.stored["refused"] == refused + 1


def test_the_corpus_is_all_there(intake: Intake) -> None:
    assert len(CORPUS) >= 40
    with intake._store.read() as connection:
        reasons = set(connection.execute(select(dead_letters.c.reason)).scalars())
        assert all(reasons)
        assert stored_events(connection)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_short_fuzz_finds_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "-runs=1000", "-seed=1", "-max_len=4000"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "Done" in ended.stderr
