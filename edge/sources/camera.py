"""Which camera to open, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from edge.sources.capture import USUAL_LATENCY_S, USUAL_LATENCY_SIGMA_S

Kind = Literal["rtsp", "http", "usb"]
SCHEMES: dict[str, Kind] = {
    "rtsp://": "rtsp",
    "rtsps://": "rtsp",
    "http://": "http",
    "https://": "http",
    "usb:": "usb",
}


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera's address, which may hold a password: never in a log, a message or a list of processes.

    Attributes:
        url: ``rtsp://``, ``rtsps://`` (over TCP), ``http://``, ``https://`` (MJPEG) or ``usb:/dev/video0``.
        frame_rate_hz: what the operator says of it; None: what the camera says.
        latency_s: from light to arrival at the least, where only arrivals tell the time.
        latency_sigma_s: its 1-sigma error.
        options: for libavformat, from the operator: a size or a rate for a USB camera.
    """

    url: str = field(repr=False)
    frame_rate_hz: float | None = None
    latency_s: float = USUAL_LATENCY_S
    latency_sigma_s: float = USUAL_LATENCY_SIGMA_S
    options: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return next(kind for scheme, kind in SCHEMES.items() if self.url.startswith(scheme))

    def asked(self) -> dict[str, Any]:
        """Return what the decoder's process is told."""
        url = self.url.removeprefix("usb:") if self.kind == "usb" else self.url
        return {"kind": self.kind, "url": url, "options": self.options}
