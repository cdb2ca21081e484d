"""Debian's chromium, where it is installed."""

from __future__ import annotations

import os
import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def chromium_arguments() -> list[str]:
    """Return what chromium needs where it runs as root."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []
