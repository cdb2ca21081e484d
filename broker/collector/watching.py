"""`/health`, `/health/live` and `/metrics` of a collector, on loopback, for whoever watches it.

Numbers of messages, nodes and disks; nothing about the street.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector as Source
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from broker.collector.collector import Collector
from broker.collector.health import Check, Health
from broker.collector.intake import Intake
from broker.collector.sequence import missing
from broker.collector.store import Store, StoreError
from broker.collector.tables import nodes

Answer = Callable[[str, list[tuple[str, str]]], Any]


class Figures(Source):
    """What Prometheus is told, gathered when it asks."""

    def __init__(self, store: Store, intake: Intake, collector: Collector, health: Health) -> None:
        self._store, self._intake, self._collector, self._health = store, intake, collector, health

    def collect(self) -> Iterator[Any]:
        stored = CounterMetricFamily(
            "nearmiss_messages", "Messages committed to the store, or refused.", labels=["kind"]
        )
        for kind, count in sorted(self._intake.stored.items()):
            stored.add_metric([kind], count)
        yield stored
        yield CounterMetricFamily("nearmiss_batches", "Commits.", value=self._collector.batches)
        yield CounterMetricFamily(
            "nearmiss_store_failures", "Batches the store did not take.", value=self._collector.failures
        )
        checks = GaugeMetricFamily(
            "nearmiss_check", "1 where a part of the collector is well.", labels=["what"]
        )
        for name, check in self._health.ready().items():
            checks.add_metric([name], float(check.well))
        yield checks
        free = GaugeMetricFamily("nearmiss_disk_free_bytes", "Room on its disks.", labels=["what"])
        for name, size in self._health.free_bytes().items():
            free.add_metric([name], size)
        yield free
        yield from self._nodes()

    def _nodes(self) -> Iterator[Any]:
        heard = GaugeMetricFamily(
            "nearmiss_node_heard_seconds", "Seconds since a node's last status.", labels=["site", "node"]
        )
        state = GaugeMetricFamily(
            "nearmiss_node_state", "1 for the state a node last said.", labels=["site", "node", "state"]
        )
        gap = GaugeMetricFamily(
            "nearmiss_node_missing", "Sequence numbers that have not arrived.", labels=["site", "node"]
        )
        try:
            with self._store.read() as connection:
                known = connection.execute(select(nodes)).mappings().all()
                lost = missing(connection)
        except SQLAlchemyError:
            return  # nearmiss_check says so
        now = time.time()
        for row in known:
            labels = [row["site"], row["node"]]
            heard.add_metric(labels, max(now - row["heard_s"], 0.0))
            state.add_metric([*labels, row["status"]["state"]], 1)
        for (site, node), count in sorted(lost.items()):
            gap.add_metric([site, node], count)
        yield from (heard, state, gap)


class WatchServer:
    """Serves them from a thread of its own.

    Raises:
        StoreError: the port is taken.
    """

    def __init__(self, health: Health, figures: Figures, *, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(figures)
        self._figures = figures
        self._health, self._metrics = health, make_wsgi_app(registry)
        try:
            self._server = make_server(host, port, self._answer, _Server, _Quiet)
        except OSError as error:
            reason = error.strerror or error
            raise StoreError(f"port {port} on {host}: {reason}; choose another one") from error
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5.0)
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Answer) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path == "/health/live":
            return _said(self._health.live(), start_response)
        if path == "/health":
            return _said(self._health.ready(), start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/health, /health/live or /metrics\n"]


def _said(checks: dict[str, Check], start_response: Answer) -> Iterable[bytes]:
    well = all(check.well for check in checks.values())
    start_response(
        "200 OK" if well else "503 Service Unavailable",
        [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
    )
    document = {
        "well": well,
        "checks": {name: {"well": check.well, "said": check.said} for name, check in checks.items()},
    }
    return [json.dumps(document, indent=1).encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # A monitor that connects and says nothing must not hold a thread for ever.
    timeout = 10

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(10.0)
        return connection, address


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep addresses out of logs."""
