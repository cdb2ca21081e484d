"""`nearmiss run`, and beside it a file with the exact time of each event: `told_node.py NODE.toml FILE`.

No node writes or sends that: an event leaves as its bin. A test needs it to compare with the truth. The whole
rest is the node as it is, but that events leave 15 to 16 s after their bin has closed, not 15 to 60 s.
"""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import UUID

from broker.drawing import Clip
from broker.wire import LocalEvent
from edge import daemon, dispatch

_event = dispatch.Dispatch.event


def main(node: Path, told: Path) -> int:
    def event(self: dispatch.Dispatch, event: LocalEvent, clip: Clip | None) -> UUID:
        id_ = _event(self, event, clip)
        with told.open("a") as file:
            file.write(f"{id_} {event.encode().decode()}\n")
        return id_

    dispatch.Dispatch.event = event  # type: ignore[method-assign]
    dispatch.SPREAD_S = dispatch.SETTLE_S + 1.0
    return daemon.run(node)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
