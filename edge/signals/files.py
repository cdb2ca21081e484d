"""The file given as ``--signals``, read as what it is."""

from __future__ import annotations

from pathlib import Path

from calibration.site import Site
from edge.scene import Signals
from edge.signals.controller_log import is_log_header, load_controller_log
from edge.signals.csv_file import load_signals_csv
from edge.signals.lines import head_of
from edge.signals.plan import load_plan
from edge.signals.spat_file import load_spat


def load_signals(path: Path, *, site: Site, start_time: float) -> Signals:
    """Read a file of signal states; times below 1e8 are relative to ``start_time``.

    Known by its content: Parquet or a CSV with an event code is a controller's log, JSON is SPaT, a name in
    ``.toml`` a fixed-time plan, anything else ``signals.csv``.

    Raises:
        InputError: every mistake in the file at once, as ``file:line: what came, what was expected``.
    """
    head = head_of(path)
    if path.suffix.lower() == ".toml":
        return load_plan(path, site=site)
    if head.startswith(b"PAR1") or _has_event_codes(head):
        return load_controller_log(path, site=site, start_time=start_time).history
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return load_spat(path, site=site, start_time=start_time)
    return load_signals_csv(path, site=site, start_time=start_time)


def _has_event_codes(head: bytes) -> bool:
    return is_log_header(head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace"))
