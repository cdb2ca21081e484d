"""`nearmiss collect`: the intake, the sweeper and the review page, until SIGTERM.

If the intake's thread ends, so does the process: a collector that looks alive and stores nothing is worse
than none.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.config import database_url, load_collector
from broker.collector.intake import Intake
from broker.collector.store import Store
from broker.collector.sweeper import Sweeper
from broker.logs import json_to_stderr
from broker.process import harden

logger = logging.getLogger(__name__)


def run(path: Path) -> int:
    """Collect until SIGTERM or Ctrl-C; 0 for a wanted end, 1 when a part of it ended by itself."""
    harden()
    json_to_stderr()
    config = load_collector(path)
    store = Store(database_url(path, config))
    store.migrate()
    clips = ClipFolder(path.parent / config.store.clips)
    sweeper = Sweeper(store, clips, config.retention)
    collector = Collector(
        Intake(store, clips, pictures=lambda: sweeper.keeps_up),
        host=config.broker.host,
        port=config.broker.port,
        tls=config.broker.tls_files,
        group=config.intake.group,
    )
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    clips.sweep_parts()
    sweeper.start()
    collector.start()
    page = None
    if config.review.enabled:
        from broker.collector.review.server import ReviewServer

        page = ReviewServer(store, clips, host=config.review.host, port=config.review.port)
        page.start()
        print(f"review page: {page.url}", flush=True)  # noqa: T201 — the one line a person must see
    code = _watch(collector, stop)
    if page is not None:
        page.close()
    sweeper.close()
    collector.close()
    store.close()
    return code


def _watch(collector: Collector, stop: threading.Event) -> int:
    said_ready = False
    while not stop.wait(0.1):
        if not said_ready and collector.ready.is_set():
            said_ready = True
            print("collector: ready", flush=True)  # noqa: T201 — whoever started it waits for this line
        if not collector.alive:
            logger.error("the intake ended by itself: %s", collector.error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
