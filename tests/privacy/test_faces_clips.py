"""Two clips as the player draws them, looked at by every detector of faces there is (faces.py has all)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import CHROMIUM
from tests.privacy.faces import looked_at

pytestmark = [pytest.mark.data, pytest.mark.slow, pytest.mark.browser]


def test_no_face_is_in_a_clip_or_on_a_plate_and_the_controls_show_some(data: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    result = looked_at(data, short=True)
    assert len(result.clips) == 2
    assert "YuNet" in result.tallies
    for name, tally in result.tallies.items():
        assert tally.frames == tally.controls > 0, name
        assert tally.clip_anywhere == tally.clip == tally.on_plates == 0, name
        assert tally.plates > 0 and tally.raw > 0, f"{name}: the control finds nobody"
