"""The brush: squares of a plate's picture hatched over. The one place of a collector that writes a picture.

It can only take away: what it is given is a plate a node sent and the numbers of squares.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from broker.collector.wording import Told

# The side of a square of the brush, pixels of the plate's picture.
CELL_PX = 4
_LIGHT, _DARK = (178, 178, 178), (150, 150, 150)


def painted(background: str, cells: Sequence[int]) -> str:
    """Return a PNG in base64 with squares hatched, as the plate hatches what was never seen empty.

    Raises:
        ValueError: a square outside the picture, or none at all.
    """
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(background)), formats=("PNG",)).convert("RGB")
    columns, rows = -(-picture.width // CELL_PX), -(-picture.height // CELL_PX)
    if not cells:
        raise ValueError(Told("paint: no square of the picture was named"))
    for cell in cells:
        if not 0 <= cell < columns * rows:
            raise ValueError(
                Told(
                    "paint: square {cell} is outside the picture of {columns} × {rows} squares",
                    cell=cell,
                    columns=columns,
                    rows=rows,
                )
            )
    pixels = picture.load()
    assert pixels is not None
    for cell in cells:
        top, left = CELL_PX * (cell // columns), CELL_PX * (cell % columns)
        for y in range(top, min(top + CELL_PX, picture.height)):
            for x in range(left, min(left + CELL_PX, picture.width)):
                pixels[x, y] = _DARK if (x + y) % 10 < 3 else _LIGHT
    out = io.BytesIO()
    # A new picture: nothing but pixels goes over, no text, profile or time.
    bare = Image.frombytes("RGB", picture.size, picture.tobytes())
    bare.save(out, format="PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()
