"""Numbered contact sheets of clips, as an operator sees them; and apart from them, the truth."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from playwright.sync_api import Route

from broker import player
from broker.collector.review.words import RULES
from tests.browser import launched
from tests.drawing.record import Recorded

INSTANTS_S = (-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.5, 4.8)
_PAGE = (Path(__file__).parent / "sheet.html").read_text()
HOW = """# Decide from the drawing alone

Each sheet claims something that may or may not have happened. It shows nine instants of one clip, each in the
camera's view and from above, with what the lamps showed and for how long. The instant of the claim has a red
frame; a ring marks the place. Who has a part in the claim is drawn with a strong outline.

Write `confirm`, `reject` or `unclear` behind each number in decisions.csv.

- Red-light entry: the front of the vehicle crosses the stop line after its lamp has turned red. Amber is
  none; standing before the line is none.
- Pedestrian against the signal: steps from the kerb onto the carriageway while the pedestrians' lamp shows
  red (steady don't walk). Amber (flashing) and green are none.
- Crossing outside the crosswalk: crosses the carriageway from kerb to kerb more than a metre beside the
  crosswalk.
- Near miss: one was where the other had been within about 1.5 seconds, or they would have met within as long.
"""


def write_sheets(recorded: Sequence[Recorded], out: Path, *, truth: Path) -> int:
    """Write a picture a clip, the form to fill in, and elsewhere the truth; return how many."""
    out.mkdir(parents=True, exist_ok=True)
    shown = [each for each in recorded if each.clip is not None]
    (out / "README.md").write_text(HOW)
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1800, "height": 1200})
        for number, each in enumerate(shown, 1):
            files = {
                **player.modules(),
                "player.css": player.style(),
                "sheet.json": _sheet(number, each),
                "": _PAGE,
            }
            page.route("http://sheet.test/**", partial(_answer, files))
            page.goto("http://sheet.test/")
            page.wait_for_selector("body[data-ready]")
            page.screenshot(path=out / f"{number:02d}.png", full_page=True)
            page.unroute_all()
    with (out / "decisions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "claim", "decision"])
        writer.writerows([n, _words(each), ""] for n, each in enumerate(shown, 1))
    truth.parent.mkdir(parents=True, exist_ok=True)
    with truth.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "rule", "true", "recording", "time", "place", "who"])
        writer.writerows(
            [
                n,
                each.claim.rule,
                "confirm" if each.claim.true else "reject",
                each.claim.recording,
                f"{each.claim.time:.2f}",
                each.claim.place,
                each.claim.actor.name,
            ]
            for n, each in enumerate(shown, 1)
        )
    return len(shown)


def _words(each: Recorded) -> str:
    users = each.claim.actor.kind
    if each.claim.second is not None:
        users += f" and {each.claim.second.kind}"
    return f"{RULES[each.claim.rule]} at {each.claim.place}, {users}"


def _sheet(number: int, each: Recorded) -> str:
    assert each.clip is not None
    return json.dumps(
        {
            "title": f"No. {number}: {_words(each)}?",
            "words": "Confirm, reject or unclear: from what is drawn here alone.",
            "clip": each.clip.model_dump(mode="json"),
            "plate": each.plate.model_dump(mode="json"),
            "instants": INSTANTS_S,
        }
    )


def _answer(files: dict[str, str], route: Route) -> None:
    name = route.request.url.rpartition("/")[2]
    kinds = {"js": "text/javascript", "css": "text/css", "json": "application/json"}
    if name in files:
        route.fulfill(body=files[name], content_type=kinds.get(name.rpartition(".")[2], "text/html"))
    else:
        route.fulfill(status=404)
