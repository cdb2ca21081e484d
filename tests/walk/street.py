"""A street at work: the drawn junction filmed, judged by the real line, collected; people with accounts.

One film under a signal programme that breaks many rules gives 23 events; it was filmed a while ago, so that
its four weeks may be published today.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.collector.publication.periods import Period, may_be_published_s, period_of
from broker.collector.store import Store
from broker.embedded import free_port
from edge.analyze import NODE, analyze
from edge.chain import LocalChain
from edge.demo.junction import Plan
from edge.demo.recording import open_recording, write_recording
from edge.demo.setting import SETTINGS
from edge.demo.show import over_the_chain
from edge.demo.story import DURATION_S
from edge.results import Results

PASSWORD = "quartz lantern meadow otter"
REVIEWER, PUBLISHER = "kim", "lee"
# The lamps are so far into their cycle when the film begins: eleven vehicles enter on red.
PROGRAMME = Plan(offset_s=18.0, duration_s=DURATION_S)
SETTINGS_TOML = """[review]
port = {port}
second_severe = false
second_share = 0.0
recheck_share = 0.0
[publication]
period = "four_weeks"
detail = "site"
"""


@dataclass(frozen=True)
class Street:
    """What somebody at a desk has of it."""

    root: str
    config: Path
    site: str
    events: int

    def nearmiss(self, *arguments: str, typed: str = "") -> str:
        """Run a command as whoever runs the collector does; return what it prints."""
        return nearmiss(*arguments, typed=typed)

    @contextmanager
    def store(self) -> Iterator[Store]:
        opened = Store(f"sqlite:///{self.config.parent / 'collector.db'}")
        yield opened
        opened.close()


def nearmiss(*arguments: str, typed: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edge", *arguments], input=typed, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"nearmiss {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
    return done.stdout


def closed_period() -> Period:
    """Return the last four weeks that may be published now."""
    zone, period = UTC, period_of("four_weeks", datetime.now(UTC).date())
    while may_be_published_s(period, zone) > time.time() - 86_400:
        period = period_of("four_weeks", period.start - timedelta(days=1))
    return period


@contextmanager
def street(folder: Path) -> Iterator[Street]:
    """Film, judge, send and store; while it is open the review pages are served."""
    filmed = datetime.combine(closed_period().start + timedelta(days=9), datetime.min.time(), UTC)
    start = (filmed + timedelta(hours=15, minutes=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    write_recording(folder, SETTINGS["afternoon"], PROGRAMME)
    inputs = open_recording(folder, start=start)
    port = free_port()
    with LocalChain(folder, site=inputs.site, node=NODE, settings=SETTINGS_TOML.format(port=port)) as chain:
        with inputs.source, Results(folder) as results:
            outcome = analyze(inputs, results)
            results.keep()
        stored = over_the_chain(chain, outcome, folder)
        config = chain.folder / "collector.toml"
        nearmiss("report", "site", str(config), str(folder / "site.toml"))
        for name, role in ((REVIEWER, "reviewer"), (PUBLISHER, "admin")):
            nearmiss("user", "add", str(config), name, "--role", role, typed=PASSWORD + "\n")
        yield Street(f"http://127.0.0.1:{port}", config, inputs.site.id, len(stored))
