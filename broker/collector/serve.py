"""`nearmiss collect`: the intake, the sweeper and the review page, until SIGTERM.

If the intake's thread ends, the web server's or the courier's, so does the process: a collector that looks
alive and stores nothing, or shows nothing, is worse than none, and whoever started it starts it again.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from broker.collector.accounts import listed
from broker.collector.clips import ClipFolder
from broker.collector.collector import Collector
from broker.collector.config import CollectorConfig, database_url, load_collector
from broker.collector.intake import Intake
from broker.collector.publication.courier import Announcer, CourierThread
from broker.collector.publication.webhooks import Courier, webhooks_of
from broker.collector.store import Store
from broker.collector.sweeper import Sweeper
from broker.logs import json_to_stderr
from broker.process import harden

if TYPE_CHECKING:
    from broker.collector.health import Thread
    from broker.collector.review.server import ReviewServer
    from broker.collector.watching import WatchServer

logger = logging.getLogger(__name__)


def run(path: Path) -> int:
    """Collect until SIGTERM or Ctrl-C; 0 for a wanted end, 1 when a part of it ended by itself."""
    harden()
    json_to_stderr()
    config = load_collector(path)
    webhooks_of(path, config.publication)  # a secret that is none is told before anything begins
    store = Store(database_url(path, config))
    store.migrate()
    clips = clips_of(path, config)
    sweeper = Sweeper(store, clips, config.retention)
    intake = Intake(store, clips, pictures=lambda: sweeper.keeps_up)
    collector = Collector(
        intake,
        host=config.broker.host,
        port=config.broker.port,
        tls=config.broker.tls_files,
        group=config.intake.group,
    )
    page, courier = _page(path, config, store, clips), carrier(path, config, store)
    others: dict[str, Thread] = {}
    if page is not None:
        others["review page"] = page
    if courier is not None:
        others["courier"] = courier
    watch = _watch_server(path, config, store, intake, collector, sweeper, others)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    clips.sweep_parts()
    sweeper.start()
    collector.start()
    if watch is not None:
        watch.start()
        print(f"health: http://{watch.host}:{watch.port}/health", flush=True)  # noqa: T201 — for a person
    if courier is not None:
        courier.start()
    if page is not None:
        page.start()
        print(f"review page: {page.url}", flush=True)  # noqa: T201 — the one line a person must see
        with store.read() as connection:
            if not listed(connection):
                print(f"no account yet: nearmiss user add {path} NAME --role admin", flush=True)  # noqa: T201
    code = _watch(collector, others, stop)
    if page is not None:
        page.close()
    if courier is not None:
        courier.close()
    if watch is not None:
        watch.close()
    sweeper.close()
    collector.close(timeout_s=5.0)
    store.close()
    return code


def _page(path: Path, config: CollectorConfig, store: Store, clips: ClipFolder) -> ReviewServer | None:
    if not config.review.enabled:
        return None
    from broker.collector.review.server import ReviewServer

    settings = config.review.beside(path)
    return ReviewServer(
        store,
        clips,
        host=settings.host,
        port=settings.port,
        settings=settings,
        publication=config.publication,
        event_d=config.retention.event_d,
    )


def carrier(path: Path, config: CollectorConfig, store: Store) -> CourierThread | None:
    """Return who carries on what is published; None where nobody wants it."""
    wanted = config.publication
    if not wanted.webhooks and not wanted.mqtt:
        return None
    announcer = None
    if wanted.mqtt:
        announcer = Announcer(
            store, host=config.broker.host, port=config.broker.port, tls=config.broker.tls_files
        )
    return CourierThread(Courier(store, webhooks_of(path, wanted)), announcer)


def _watch_server(
    path: Path,
    config: CollectorConfig,
    store: Store,
    intake: Intake,
    collector: Collector,
    sweeper: Sweeper,
    others: Mapping[str, Thread],
) -> WatchServer | None:
    if config.watch is None:
        return None
    from broker.collector.health import Health
    from broker.collector.watching import Figures, WatchServer

    health = Health(
        store,
        collector,
        threads=others,
        others={"sweeper": lambda: sweeper.alive and sweeper.keeps_up},
        disks=disks(path, config),
        room_bytes=config.watch.room_mb * 2**20,
    )
    figures = Figures(store, intake, collector, health)
    return WatchServer(health, figures, host=config.watch.host, port=config.watch.port)


def clips_of(path: Path, config: CollectorConfig) -> ClipFolder:
    """Return where clips and plates lie: a folder, or a bucket."""
    if not config.store.clips.startswith("s3://"):
        return ClipFolder(path.parent / config.store.clips)
    from broker.collector.bucket import ClipBucket

    return ClipBucket(config.store.clips, endpoint=config.store.s3_endpoint, region=config.store.s3_region)


def disks(path: Path, config: CollectorConfig) -> dict[str, Path]:
    """Return the folders on this machine that a collector fills."""
    found = {}
    if not config.store.clips.startswith("s3://"):
        found["clips"] = path.parent / config.store.clips
    database = database_url(path, config)
    if database.startswith("sqlite:///"):
        found["store"] = Path(database.removeprefix("sqlite:///")).parent
    return found


def _watch(collector: Collector, others: Mapping[str, Thread], stop: threading.Event) -> int:
    said_ready = False
    while not stop.wait(0.1):
        if not said_ready and collector.ready.is_set():
            said_ready = True
            print("collector: ready", flush=True)  # noqa: T201 — whoever started it waits for this line
        if not collector.alive:
            logger.error("the intake ended by itself: %s", collector.error)
            return 1
        if ended := [name for name, thread in others.items() if not thread.alive]:
            logger.error("the %s ended by itself", " and the ".join(ended))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
