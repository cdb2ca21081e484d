"""The file given as ``--signals``, read as what it is."""

from __future__ import annotations

from pathlib import Path

from calibration.site import Site
from edge.signals.csv_file import load_signals_csv
from edge.signals.history import SignalHistory


def load_signals(path: Path, *, site: Site, start_time: float) -> SignalHistory:
    """Read a file of signal states; times below 1e8 are relative to ``start_time``.

    Raises:
        InputError: every mistake in the file at once, as ``file:line: what came, what was expected``.
    """
    return load_signals_csv(path, site=site, start_time=start_time)
