"""[source] of node.toml: a recording, or a camera."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edge.errors import InputError
from edge.sources.camera import SCHEMES, Camera
from edge.sources.capture import USUAL_LATENCY_S, USUAL_LATENCY_SIGMA_S

FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
LONGEST_PASSWORD = 1000
CAMERA_ONLY = (
    *("password_file", "ca", "accept_any_certificate", "frame_rate_hz"),
    *("latency_s", "latency_sigma_s", "clock_sigma_s"),
)


class SourceConfig(BaseModel):
    """Where frames come from: a recording, or the address of a camera.

    Attributes:
        video: a recording, with ``start`` (UTC of its time 0) or ``times`` (a log of capture times).
        url: rtsp, rtsps, http, https (MJPEG) or ``usb:/dev/video0``.
        password_file: holds ``user:password`` on one line, so that node.toml need not.
        ca: what an https or rtsps camera's certificate is checked against; else the system's.
        accept_any_certificate: of a camera that has one of its own making.
        frame_rate_hz: where the camera does not tell its rate.
        latency_s: from light to arrival at the least, where only arrivals tell the time of a frame.
        clock_sigma_s: 1-sigma error of this machine's clock against the one that times the signals; else what
            its kernel says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    video: FilePath | None = None
    start: str | None = None
    times: FilePath | None = None
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    password_file: FilePath | None = None
    ca: FilePath | None = None
    accept_any_certificate: bool = False
    frame_rate_hz: Annotated[float, Field(ge=1, le=240)] | None = None
    latency_s: Annotated[float, Field(ge=0, le=10)] = USUAL_LATENCY_S
    latency_sigma_s: Annotated[float, Field(gt=0, le=10)] = USUAL_LATENCY_SIGMA_S
    clock_sigma_s: Annotated[float, Field(ge=0, le=3600)] | None = None

    @field_validator("start")
    @classmethod
    def _is_time(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                time = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("not an RFC 3339 time such as 2026-11-20T08:15:00Z") from None
            if time.tzinfo is None:
                raise ValueError("lacks its zone, expected such as 2026-11-20T08:15:00Z")
        return text

    @field_validator("url")
    @classmethod
    def _is_camera(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(tuple(SCHEMES)):
            raise ValueError(f"expected one of {', '.join(SCHEMES)}")
        if url.startswith("usb:"):
            if not url.removeprefix("usb:").startswith("/dev/"):
                raise ValueError("expected such as usb:/dev/video0")
            return url
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"no address: {error}") from None
        if not host or any(letter.isspace() for letter in url):
            raise ValueError("names no camera, expected such as rtsp://camera-n.local/stream1")
        return url

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.video is None) == (self.url is None):
            raise ValueError("give either video (a recording) or url (a camera)")
        if self.video is not None and self.start is None and self.times is None:
            raise ValueError("a recording needs start (UTC of its time 0) or times: events carry real time")
        if self.url is not None and (self.start is not None or self.times is not None):
            raise ValueError("start and times belong to a recording; a camera's frames carry their own time")
        if self.video is not None and (
            wrong := [name for name in CAMERA_ONLY if name in self.model_fields_set]
        ):
            raise ValueError(f"{', '.join(wrong)}: of a camera, not of a recording")
        if self.ca is not None and self.accept_any_certificate:
            raise ValueError("ca and accept_any_certificate: give one of them")
        return self

    def camera(self, path: Path, image_size: tuple[int, int]) -> Camera:
        """Return the camera to open.

        Args:
            path: of node.toml, which files are relative to.
            image_size: of the site's ground plane, which a USB camera is asked for.

        Raises:
            InputError: its password cannot be read.
        """
        assert self.url is not None
        options = {}
        if self.url.startswith("usb:"):
            options["video_size"] = f"{image_size[0]}x{image_size[1]}"
            if self.frame_rate_hz is not None:
                options["framerate"] = f"{self.frame_rate_hz:g}"
        if self.url.startswith(("https:", "rtsps:")) and not self.accept_any_certificate:
            options["tls_verify"] = "1"
            ca = ssl.get_default_verify_paths().cafile if self.ca is None else str(path.parent / self.ca)
            if ca is not None:
                options["ca_file"] = ca
        return Camera(
            self.url if self.password_file is None else _with_password(self.url, path, self.password_file),
            frame_rate_hz=self.frame_rate_hz,
            latency_s=self.latency_s,
            latency_sigma_s=self.latency_sigma_s,
            options=options,
        )


def _with_password(url: str, path: Path, name: str) -> str:
    file = path.parent / name
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(LONGEST_PASSWORD + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{path}: source.password_file: {name!r} cannot be read: {reason}") from error
    user, colon, password = text.partition(":")
    if not colon or not user or "\n" in text or len(text) > LONGEST_PASSWORD:
        raise InputError(f"{path}: source.password_file: {name!r}: expected user:password on one line")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))
