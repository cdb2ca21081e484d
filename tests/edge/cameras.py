"""Cameras for tests, each on a free port of loopback: a real RTSP server, and one of MJPEG over HTTP."""

from __future__ import annotations

import contextlib
import http.server
import io
import os
import select
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import pytest

from broker.embedded import free_port

SYSTEM_PYTHON = Path("/usr/bin/python3")
NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@cache
def rtsp_missing() -> str | None:
    """Return why no RTSP server can be started here; None where one can."""
    if not SYSTEM_PYTHON.exists():
        return f"no {SYSTEM_PYTHON}"
    tried = subprocess.run([SYSTEM_PYTHON, "-c", NEEDS], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else "apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi"


class RtspCamera:
    """A real RTSP server in a process of its own; see rtsp_server.py.

    Args:
        film: plays this instead of a picture of its own.
    """

    def __init__(
        self, *, size: str = "320x240", rate: int = 20, port: int | None = None, film: Path | None = None
    ) -> None:
        if (missing := rtsp_missing()) is not None:
            pytest.skip(f"no RTSP server: {missing}")
        self.port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/street"
        self._size, self._rate, self._film = size, rate, film
        self._start()

    def _start(self) -> None:
        self._heard = ""
        script = Path(__file__).with_name("rtsp_server.py")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, script, str(self.port), self._size, str(self._rate)]
            + ([] if self._film is None else [str(self._film)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        assert self.said(within_s=15.0) == "ready", "the RTSP server did not start"

    def said(self, *, within_s: float) -> str:
        """Return the next line it says; empty where none comes in time."""
        assert self.process.stdout is not None
        # By the bytes: a line that a buffer has read along would not be seen by select.
        if "\n" not in self._heard:
            readable, _, _ = select.select([self.process.stdout], [], [], within_s)
            if readable:
                self._heard += os.read(self.process.stdout.fileno(), 4096).decode()
        line, newline, rest = self._heard.partition("\n")
        if newline:
            self._heard = rest
        return line.strip() if newline else ""

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def restart(self, *, size: str | None = None) -> None:
        """Boot again: the same address, and a clock of its frames that begins anew."""
        if self.process.poll() is None:
            self.kill()
        self._size = size or self._size
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def jpeg(value: int, size: tuple[int, int] = (320, 240)) -> bytes:
    """Return a JPEG of one grey value."""
    held = io.BytesIO()
    with av.open(held, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), value, np.uint8), format="bgr24")
        container.mux([*stream.encode(picture), *stream.encode()])
    return held.getvalue()


class MjpegCamera:
    """Sends JPEGs as multipart/x-mixed-replace.

    Attributes:
        sending: cleared, connections stay open and nothing comes.
        refusing: set, every request is answered with 503.

    Args:
        certificate: and key, for https.
    """

    def __init__(
        self,
        *,
        rate: float = 20.0,
        size: tuple[int, int] = (320, 240),
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.rate, self.size = rate, size
        self.sending = threading.Event()
        self.sending.set()
        self.refusing = threading.Event()
        self.sent = 0
        self._stop = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if camera.refusing.is_set():
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for picture in camera.pictures():
                        self.wfile.write(
                            b"--frame\r\nContent-Type: image/jpeg\r\n"
                            b"Content-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
                        )

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate is not None:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/video.mjpg"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def pictures(self) -> Iterator[bytes]:
        begun, count = time.monotonic(), 0
        while not self._stop.is_set() and not self.refusing.is_set():
            if self.sending.is_set():
                yield jpeg(20 + self.sent % 200, self.size)
                self.sent += 1
            count += 1
            self._stop.wait(max(0.0, begun + count / self.rate - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


if __name__ == "__main__":
    # `python -m tests.edge.cameras` keeps one up, to look at with a node.
    with RtspCamera(size=sys.argv[1] if len(sys.argv) > 1 else "640x480") as shown:
        print(shown.url, flush=True)
        time.sleep(3600)
