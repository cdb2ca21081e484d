"""What the gate changes in an ordinary minute, and what another noise of the detector changes.

``python -m tests.minute_noises [N]`` prints, for N noises, the share of the frames looked at, the events of
every frame, how many one of the two runs has alone, and how many differ from those of the first noise.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from edge.bench import data_folder
from edge.bench.gate import MINUTE, MODEL, differing, passed, streets

NOISES = 5


def main(count: int) -> None:
    model = str(data_folder(None) / MODEL)
    with tempfile.TemporaryDirectory() as name:
        minute = next(each for each in streets(data_folder(None), Path(name)) if each.name == MINUTE)
        first = passed(minute, model, gated=False)
        for seed in range(1, count + 1):
            every = first if seed == 1 else passed(minute, model, gated=False, seed=seed)
            some = passed(minute, model, gated=True, seed=seed)
            sys.stdout.write(
                f"noise {seed}: looked {some.looks / some.frames:.2f}, events {len(every.findings)}, "
                f"differ with the gate {len(differing(every.findings, some.findings))}, "
                f"from noise 1 {len(differing(first.findings, every.findings))}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NOISES)
