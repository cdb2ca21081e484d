"""What is wrong with a site beyond the form of its file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from calibration.lint import lint
from calibration.site import Site

PLANE = {
    "image_size": [640, 480],
    "points": [
        {"px": [100, 400], "m": [-6, 0]},
        {"px": [540, 400], "m": [6, 0]},
        {"px": [440, 200], "m": [6, 20]},
        {"px": [200, 200], "m": [-6, 20]},
        {"px": [320, 400], "m": [0, 0]},
    ],
    "osd": [],
}


def site(**changes: Any) -> Site:
    """Return a sound site, seen whole in its image, with some tables exchanged."""
    document: dict[str, Any] = {
        "site": {"id": "main-5th"},
        "stop_lines": [{"id": "N", "signal_group": "N", "line": [[-4, 12], [0, 12]], "heading_deg": -90}],
        "crosswalks": [{"id": "ped0", "signal_group": "ped0", "polygon": [[-5, 6], [5, 6], [5, 9], [-5, 9]]}],
        "roadways": [{"polygon": [[-5, 1], [5, 1], [5, 30], [-5, 30]]}],
        "ground_plane": PLANE,
        "thresholds": {"max_position_sigma_m": 2.0},
    }
    document.update(changes)
    return Site.model_validate_json(json.dumps({key: value for key, value in document.items() if value}))


def line(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": "N", "signal_group": "N", "line": [[-4, 12], [0, 12]], "heading_deg": -90, **changes}]


def zone(polygon: list[list[float]]) -> list[dict[str, Any]]:
    return [{"id": "ped0", "signal_group": "ped0", "polygon": polygon}]


def plane(**changes: Any) -> dict[str, Any]:
    return {**PLANE, **changes}


def pairs(*replaced: tuple[int, dict[str, Any]]) -> list[dict[str, Any]]:
    points = [dict(point) for point in PLANE["points"]]  # type: ignore[attr-defined]  # a list of tables
    for number, changes in replaced:
        points[number].update(changes)
    return points


def test_a_sound_site_raises_no_doubt() -> None:
    assert lint(site()) == lint(site(ground_plane=None))
    assert lint(site()).mistakes == lint(site()).warnings == ()


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        pytest.param(
            {"crosswalks": zone([[-5, 6], [5, 6], [-5, 9], [5, 9]])},
            "crosswalks.ped0: polygon: its edges cross each other at [0, 7.5]",
            id="a bow tie",
        ),
        pytest.param(
            {"boxes": [{"id": "box", "polygon": [[-5, 20], [5, 20], [-5, 25], [5, 25]]}]},
            "boxes.box: polygon: its edges cross each other at [0, 22.5]",
            id="a box like a bow tie",
        ),
        pytest.param(
            {"crosswalks": zone([[-5, 6], [5, 6], [0, 6]])},
            "crosswalks.ped0: polygon: ",
            id="a zone without an area",
        ),
        pytest.param(
            {"stop_lines": line(heading_deg=0)},
            "stop_lines.N: heading_deg 0 lies 0° from the line's own direction",
            id="travel along the line",
        ),
        pytest.param(
            {"stop_lines": line(heading_deg=160)},
            "stop_lines.N: heading_deg 160 lies 20° from",
            id="travel nearly along the line",
        ),
        pytest.param(
            {"stop_lines": line(line=[[0, 0], [1, 0], [1, 1], [0, 0]])},
            "begins and ends at the same point",
            id="a closed line",
        ),
        pytest.param(
            {
                "ground_plane": plane(
                    points=pairs(*((n, {"m": [n, 0], "px": [100 * n, 50]}) for n in range(5)))
                )
            },
            "ground_plane.points: the point pairs lie too nearly on one line",
            id="points on one line",
        ),
        pytest.param(
            {"ground_plane": plane(osd=[[100, 10, 20, 30]])},
            "ground_plane.osd.0: [100, 10, 20, 30] has no area",
            id="a rectangle inside out",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(changes: dict[str, Any], mistake: str) -> None:
    assert any(mistake in each for each in lint(site(**changes)).mistakes), lint(site(**changes))


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        pytest.param(
            {"stop_lines": line(heading_deg=-45)},
            "stop_lines.N: heading_deg -45 lies 45° from",
            id="a very skewed approach",
        ),
        pytest.param(
            {"stop_lines": line(signal_group=None)},
            "stop_lines.N: no signal_group",
            id="a stop line without a signal",
        ),
        pytest.param(
            {
                "stop_lines": [
                    {"id": "N", "signal_group": "N", "line": [[-4, 12], [0, 12]], "heading_deg": 90},
                    {"id": "S", "signal_group": "S", "line": [[0, 3], [4, 3]], "heading_deg": 90},
                ]
            },
            "stop_lines.N: heading_deg 90 leads away from the crosswalks and the other stop lines; "
            "expected into the junction, such as -90",
            id="travel out of the junction",
        ),
        pytest.param({"roadways": []}, "roadways: none", id="crosswalks and no carriageway"),
        pytest.param(
            {"roadways": [{"polygon": [[20, 20], [30, 20], [30, 30]]}]},
            "crosswalks.ped0: lies on no roadway",
            id="a crosswalk beside the road",
        ),
        pytest.param(
            {"signal_heads": [{"signal_group": "S", "region_px": [0, 0, 9, 9]}]},
            "signal_heads.0: signal_group 'S' is not one of N, ped0",
            id="a head of a group nobody knows",
        ),
        pytest.param(
            {"crosswalks": zone([[-50, 6], [5, 6], [5, 9], [-50, 9]])},
            "crosswalks.ped0: 2 of 4 corners lie outside the image",
            id="a zone reaching out of the image",
        ),
        pytest.param(
            {"crosswalks": zone([[-5, 6], [5, 6], [5, -900], [-5, -900]])},
            "crosswalks.ped0: 2 of 4 corners lie beyond the horizon",
            id="a zone behind the camera",
        ),
        pytest.param(
            {"ground_plane": plane(points=pairs()[:4])},
            "four points fit any plane",
            id="no point to check with",
        ),
        pytest.param(
            {"ground_plane": plane(points=pairs((4, {"m": [2.0, 0], "held_out": True})))},
            "held out, a point is off by up to 2.00 m",
            id="a held-out point that is off",
        ),
        pytest.param(
            {"ground_plane": plane(points=pairs((4, {"px": [320, 700], "held_out": True})))},
            "ground_plane.points.4: px [320, 700] lies outside the image",
            id="a point outside the image",
        ),
        pytest.param(
            {"thresholds": {"max_position_sigma_m": 0.01}},
            "stop_lines.N: positions there are known to",
            id="a line too far away to judge",
        ),
    ],
)
def test_a_doubt_is_a_warning(changes: dict[str, Any], warning: str) -> None:
    doubts = lint(site(**changes))
    assert any(warning in each for each in doubts.warnings), doubts
    assert doubts.mistakes == ()


def test_all_mistakes_come_at_once() -> None:
    doubts = lint(
        site(
            stop_lines=line(heading_deg=0),
            crosswalks=zone([[-5, 6], [5, 6], [-5, 9], [5, 9]]),
            ground_plane=plane(osd=[[9, 9, 0, 0]]),
        )
    )
    assert len(doubts.mistakes) == 3
