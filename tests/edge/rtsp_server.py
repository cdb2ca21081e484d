"""An RTSP camera for tests, run by Debian's own Python: `rtsp_server.py PORT WIDTHxHEIGHT RATE`.

Its picture moves. Lines on standard input change it in the middle of the stream: `size 320x240`, `rate 5`,
`still` (the same picture again and again). It says `ready` once it listens, and ends with its standard input.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 — versions are named first


class Camera:
    def __init__(self, port: str, size: str, rate: str) -> None:
        Gst.init(None)
        self.size, self.rate = size, rate
        self.loop = GLib.MainLoop()
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service(port)
        factory = self.factory = GstRtspServer.RTSPMediaFactory()
        factory.set_shared(True)
        factory.set_launch(self.launch())
        self.media: list[GstRtspServer.RTSPMedia] = []
        factory.connect("media-configure", lambda _factory, media: self.media.append(media))
        server.get_mount_points().add_factory("/street", factory)
        server.attach(None)
        GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, self.told)

    def launch(self) -> str:
        return (
            "( videotestsrc name=street is-live=true pattern=ball ! videoscale ! videorate "
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
        self.factory.set_launch(self.launch())  # for who comes later
        for media in self.media:
            element = media.get_element()
            if words[0] == "still":
                element.get_by_name("street").set_property("pattern", "blue")
            else:
                element.get_by_name("caps").set_property("caps", Gst.Caps.from_string(self.caps()))
        return True


if __name__ == "__main__":
    camera = Camera(*sys.argv[1:])
    print("ready", flush=True)
    camera.loop.run()
