"""What every page works with: the store, the clips, the settings, the templates."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from broker.collector.clips import ClipFolder
from broker.collector.review import words
from broker.collector.review.language import Language, chosen
from broker.collector.review.settings import Review
from broker.collector.store import Store

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Desk:
    """One review page's means."""

    store: Store
    clips: ClipFolder
    settings: Review
    templates: Jinja2Templates

    def say(self, request: Request) -> Language:
        """Return the language of who asks."""
        return chosen(self.settings.language, request.headers.get("accept-language", ""))

    def page(self, request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
        """Return a page in the reader's language; it also gets ``who`` has signed in, None at the door."""
        values["who"] = getattr(request.state, "who", None)
        say = self.say(request)
        values.update(_=say, language=say.code, number=say.number, day=say.day, clock=say.clock)
        answer = self.templates.TemplateResponse(request, name, values, status_code=status_code)
        answer.headers["vary"] = "accept-language"
        return answer

    def now_s(self) -> int:
        return int(time.time())


def opened(store: Store, clips: ClipFolder, settings: Review) -> Desk:
    """Return a desk with the templates."""
    templates = Jinja2Templates(directory=HERE / "templates")
    templates.env.globals.update(words=words)
    templates.env.trim_blocks = templates.env.lstrip_blocks = True
    return Desk(store, clips, settings, templates)
