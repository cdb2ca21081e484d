"""Where the real inputs are, and a clear reason where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes hangs on who else is at work on the machine; a second is asserted nowhere.
settings.register_profile("nearmiss", deadline=None)
settings.load_profile("nearmiss")

ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path | None:
    """Return the folder of real inputs: NEARMISS_DATA, or ../shared/data beside the checkout."""
    for folder in (os.environ.get("NEARMISS_DATA"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    return None


@pytest.fixture(scope="session")
def data() -> Path:
    folder = data_folder()
    if folder is None:
        pytest.skip("no real inputs: neither NEARMISS_DATA nor ../shared/data is there")
    return folder
