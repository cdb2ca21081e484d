"""A clip's frames as an operator sees them: drawn by the player, in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

import broker.player
from tests.browser import launched
from tests.privacy.filmed import Filmed
from tests.privacy.real import Picture


@contextmanager
def player() -> Iterator[Any]:
    """Open the clip player in a browser; give a function that mounts a clip and one that draws an instant."""
    page_html = """<!doctype html><link rel=stylesheet href=/player.css>
<style>body { margin: 0; width: 1400px }</style><main id=place></main><script type=module>
import { mount } from "/player.js";
window.show = (clip, plate) => {
  const place = document.getElementById("place");
  place.replaceChildren();
  window.player = mount(place, { clip, plate, event: null });
};
window.ready = true;
</script>"""
    files = {
        "/": ("text/html", page_html),
        "/player.css": ("text/css", broker.player.style()),
        **{f"/{name}": ("text/javascript", text) for name, text in broker.player.modules().items()},
    }

    def serve(route: Any) -> None:
        kind, body = files.get("/" + route.request.url.split("/", 3)[3], ("text/plain", ""))
        route.fulfill(status=200, content_type=kind, body=body)

    with launched() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.route("**/*", serve)
        page.goto("http://player.invalid/")
        page.wait_for_function("window.ready")
        yield page


def rendered(page: Any, filmed: Filmed, chosen: range) -> Iterator[Picture]:
    """Give the clip's frames, in the camera's view, at the instants of the film and in its size."""
    page.evaluate(
        "([clip, plate]) => window.show(clip, plate)",
        [json.loads(filmed.clip.encode()), json.loads(filmed.plate.encode())],
    )
    view = page.locator(".nm-camera svg").first
    size = filmed.pictures[0].shape[1], filmed.pictures[0].shape[0]
    middle = (filmed.times[0] + filmed.times[-1]) / 2
    for n in chosen:
        time = filmed.times[n]
        second = min(
            max(time - middle, filmed.clip.start_s), filmed.clip.start_s + (filmed.clip.steps - 1) / 10
        )
        page.evaluate("(second) => window.player.seek(second)", second)
        shot = cv2.imdecode(np.frombuffer(view.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        yield np.asarray(cv2.resize(shot, size, interpolation=cv2.INTER_AREA), np.uint8)
