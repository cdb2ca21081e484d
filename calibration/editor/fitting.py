"""What the page shows of a draft: the ground plane with its errors, and what is wrong with the site."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.editor.site_file import SiteFile, site_of
from calibration.lint import BOX_SIGMA_PX, lint
from calibration.plane import Plane, robust_fit
from calibration.site import SiteError

Floats = NDArray[np.float64]

# Cells of the map of errors: about so many across the image.
_CELLS_ACROSS = 64


def fitted(document: Mapping[str, Any], *, path: Path, image_size: tuple[int, int]) -> dict[str, Any]:
    """Return the ground plane of a draft and every mistake in it, as plain numbers and lines."""
    draft, missing = complete(document)
    missing += _other_size(document, image_size)
    ground = draft.get("ground_plane", {})
    answer: dict[str, Any] = {"plane": None, "why": None, "points": [], "sigma": None, "lengths": []}
    answer["mistakes"], answer["warnings"] = missing, []
    try:
        site = site_of(draft, path)
        doubts = lint(site)
        answer["mistakes"] = [*missing, *doubts.mistakes]
        answer["warnings"] = list(doubts.warnings)
    except SiteError as error:
        answer["mistakes"] = [*missing, *error.problems]
    pairs = _pairs(document)
    try:
        plane = _plane(pairs, image_size)
    except ValueError as error:
        answer["why"] = str(error)
        return answer
    answer["plane"] = {
        "to_metres": _scaled(plane.to_metres),
        "to_image": _scaled(np.asarray(np.linalg.inv(plane.to_metres), np.float64)),
        "bend": plane.lens.bend,
        "image_size": list(image_size),
    }
    answer["points"] = _errors(plane, pairs, len(_points(document)))
    answer["sigma"] = _sigma(plane)
    answer["lengths"] = [_length(plane, each) for each in ground.get("lengths", [])]
    return answer


def unsaveable(document: Mapping[str, Any], *, file: SiteFile, image_size: tuple[int, int]) -> list[str]:
    """Return what keeps a draft from being written, a line each: all that `nearmiss check` would refuse."""
    _, missing = complete(document)
    missing += _other_size(document, image_size)
    if missing:
        return missing
    return list(lint(site_of(file.merged(document), file.path)).mistakes)


def _other_size(document: Mapping[str, Any], image_size: tuple[int, int]) -> list[str]:
    """Return that a draft is for pictures of another size than the recording's, if it is."""
    size = (document.get("ground_plane") or {}).get("image_size")
    if size is None or list(size) == list(image_size):
        return []
    return [f"ground_plane.image_size: {list(size)}, the recording's pictures have {list(image_size)}"]


def complete(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a draft without what is half done, and a line for each such thing."""
    draft = copy.deepcopy({key: value for key, value in document.items() if value})
    missing = []
    if not draft.get("site", {}).get("id"):
        missing.append("site.id: missing: give the site a short name such as main-5th")
        draft.setdefault("site", {})["id"] = "unnamed"
    ground = draft.get("ground_plane")
    if ground is None:
        return draft, [
            *missing,
            "ground_plane: no point pairs yet: click a mark on the road, then its place in metres",
        ]
    points = ground.get("points", [])
    for number, point in enumerate(points, start=1):
        if point.get("px") is None or point.get("m") is None:
            lacks = "its place in the image" if point.get("px") is None else "its metres"
            missing.append(f"point {number}: lacks {lacks}")
    ground["points"] = [
        point for point in points if point.get("px") is not None and point.get("m") is not None
    ]
    if len(ground["points"]) < 4:
        missing.append(
            f"ground_plane.points: {len(ground['points'])} point pairs, expected at least 4, better 8"
        )
    if ground.get("osd") is None:
        missing.append(
            "ground_plane.osd: does the camera burn text into the picture? Draw its rectangle, "
            "or say that there is none"
        )
        ground["osd"] = []
    if len(ground["points"]) < 4:
        # Told already; what else is wrong with the site can still be looked for.
        del draft["ground_plane"]
    return draft, missing


def _points(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    points = (document.get("ground_plane") or {}).get("points") or []
    return points if isinstance(points, list) else []


def _pairs(document: Mapping[str, Any]) -> list[tuple[int, list[float], list[float], bool]]:
    return [
        (number, point["px"], point["m"], bool(point.get("held_out")))
        for number, point in enumerate(_points(document))
        if point.get("px") is not None and point.get("m") is not None
    ]


def _plane(pairs: Sequence[tuple[int, list[float], list[float], bool]], image_size: tuple[int, int]) -> Plane:
    if sum(not held for *_, held in pairs) < 4:
        raise ValueError("four point pairs fit a ground plane; more show its error")
    plane = robust_fit(
        [px for _, px, _, _ in pairs],
        [m for _, _, m, _ in pairs],
        image_size=image_size,
        held_out=[held for *_, held in pairs],
    )
    if not np.isfinite(plane.to_metres).all() or abs(np.linalg.det(plane.to_metres)) < 1e-300:
        raise ValueError("the point pairs do not determine a ground plane")
    return plane


def _errors(
    plane: Plane, pairs: Sequence[tuple[int, list[float], list[float], bool]], count: int
) -> list[dict[str, Any] | None]:
    """Return for each point of the draft how far off it is, metres; None where it is half done."""
    bad = {each.index: each for each in plane.left_out}
    fit_errors, held_errors = iter(plane.fit_error_m.tolist()), iter(plane.held_out_error_m.tolist())
    errors: list[dict[str, Any] | None] = [None] * count
    for place, (number, px, metre, held) in enumerate(pairs):
        off = plane.ground(px) - np.asarray(metre)
        fit_m = float(np.hypot(*off))
        suspect = bad.get(place)
        error = fit_m if suspect is not None else float(next(held_errors if held else fit_errors))
        errors[number] = {
            "error_m": _finite(error),
            "residual_m": _finite(fit_m),
            "held_out": held,
            "suspect_px": None if suspect is None else _finite(suspect.error_px),
            "others_px": None if suspect is None else _finite(suspect.others_px),
        }
    return errors


def _sigma(plane: Plane) -> dict[str, Any]:
    """Return the position error over the image, centimetres, a value a cell; null beyond the horizon."""
    width, height = plane.image_size
    side = max(width / _CELLS_ACROSS, 1.0)
    columns, rows = math.ceil(width / side), math.ceil(height / side)
    u, v = np.meshgrid((np.arange(columns) + 0.5) * side, (np.arange(rows) + 0.5) * side)
    sigma = plane.sigma_m(np.stack([u, v], axis=-1), BOX_SIGMA_PX)
    return {
        "side_px": side,
        "columns": columns,
        "rows": rows,
        "cm": [None if not math.isfinite(each) else min(round(100 * each), 9999) for each in sigma.ravel()],
    }


def _length(plane: Plane, known: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        measured, sigma = measured_length(plane, known["px"])
    except (KeyError, TypeError, ValueError):
        return None
    return {"measured_m": _finite(measured), "sigma_m": _finite(sigma)}


def measured_length(plane: Plane, ends_px: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the length between two image points on the road, and its error by the clicks, metres."""
    ends = np.asarray(ends_px, np.float64)
    ground = plane.ground(ends)
    return float(np.linalg.norm(ground[1] - ground[0])), float(np.hypot(*plane.sigma_m(ends, 1.0)))


def _scaled(matrix: Floats) -> list[float]:
    return [float(each) for each in (matrix / np.abs(matrix).max()).ravel()]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
