"""An RTSP camera for tests, run by Debian's own Python: `rtsp_server.py PORT WIDTHxHEIGHT RATE [FILM]`.

Its picture moves. Lines on standard input change it in the middle of the stream: `size 320x240`, `rate 5`,
`still` (the same picture again and again). It says `ready` once it listens, and ends with its standard input.

With a film (H.264 in MP4) it plays that, from its beginning for who connects while nobody else looks, and
says `playing UTC` whenever it begins: the instant of the film's time 0 by this machine's clock.
"""

from __future__ import annotations

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 — versions are named first


class Camera:
    def __init__(self, port: str, size: str, rate: str, film: str | None = None) -> None:
        Gst.init(None)
        self.size, self.rate, self.film, self.pattern = size, rate, film, "ball"
        self.loop = GLib.MainLoop()
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service(port)
        factory = self.factory = GstRtspServer.RTSPMediaFactory()
        factory.set_shared(True)
        factory.set_launch(self.launch())
        self.media: list[GstRtspServer.RTSPMedia] = []
        factory.connect("media-configure", self.configured)
        server.get_mount_points().add_factory("/street", factory)
        server.attach(None)
        GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, self.told)

    def configured(self, _factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        self.media.append(media)
        if self.film is not None:
            media.connect("new-state", self.plays)

    def plays(self, media: GstRtspServer.RTSPMedia, state: int) -> None:
        if state == Gst.State.PLAYING:
            GLib.timeout_add(10, self.played, media.get_element().get_parent())

    def played(self, pipeline: Gst.Pipeline) -> bool:
        clock = pipeline.get_clock()
        if clock is not None:
            played_s = (clock.get_time() - pipeline.get_base_time()) / Gst.SECOND
            print(f"playing {time.time() - played_s:.6f}", flush=True)
        return clock is None  # again where it has not begun

    def launch(self) -> str:
        if self.film is not None:
            return (
                f"( filesrc location={self.film} ! qtdemux ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
            )
        return (
            f"( videotestsrc name=street is-live=true pattern={self.pattern} ! videoscale ! videorate "
            f"! capsfilter name=caps caps={self.caps()} "
            "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 "
            "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
        )

    def caps(self) -> str:
        width, height = self.size.split("x")
        return f"video/x-raw,format=I420,width={width},height={height},framerate={self.rate}/1"

    def told(self, _source: int, _condition: GLib.IOCondition) -> bool:
        words = sys.stdin.readline().split()
        if not words:
            self.loop.quit()
            return False
        if words[0] == "size":
            self.size = words[1]
        elif words[0] == "rate":
            self.rate = words[1]
        elif words[0] == "still":
            self.pattern = "blue"
        self.factory.set_launch(self.launch())  # for who comes later
        for media in self.media:
            element = media.get_element()
            if words[0] == "still":
                element.get_by_name("street").set_property("pattern", self.pattern)
            else:
                element.get_by_name("caps").set_property("caps", Gst.Caps.from_string(self.caps()))
        return True


if __name__ == "__main__":
    camera = Camera(*sys.argv[1:])
    print("ready", flush=True)
    camera.loop.run()
