"""The plate: the empty site, coarse, hatched where it was never seen empty, and nothing burned in."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from broker.drawing import Plate
from calibration.lens import Lens
from calibration.plane import Plane
from edge.capping import MAX_PX_PER_M, Cap, scale_map
from edge.plan import plate_of
from edge.plate import MAX_SAMPLES, OWN_RECORDING_WINDOW_S, PlateBuilder
from edge.redact import Redactor
from models.detections import Detections

from .drawn import SIZE, Box, frame, overhead, painted, pinhole, road, seen, site

PARKED: Box = (300, 300, 360, 400)
WHITE = (230, 230, 230)


def picture_of(plate: Plate) -> NDArray[np.uint8]:
    assert plate.background is not None
    png = np.frombuffer(base64.b64decode(plate.background), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)


def watched(
    seconds: float, *, boxes: tuple[Box, ...] = (), rate_hz: float = 5.0, grain: bool = True, **more: object
) -> Redactor:
    """Return a redactor that watched a road on which a white thing stands; ``boxes`` are detected."""
    target = Redactor(SIZE, **{"plane": pinhole(), "plate_window_s": OWN_RECORDING_WINDOW_S, **more})  # type: ignore[arg-type]  # keywords of the test
    standing = painted(road(seed=1 if grain else None), PARKED, WHITE)
    for n in range(int(seconds * rate_hz)):
        target.ingest(frame(standing, n / rate_hz), seen(*boxes))
    return target


def test_a_short_recording_has_the_plan_alone() -> None:
    plate = watched(20).plate(site(pinhole()))
    assert plate.background is None
    assert {zone.kind for zone in plate.zones} == {"roadway", "crosswalk", "stop_line", "signal_head"}


def test_a_site_needs_ten_minutes() -> None:
    assert watched(60, plate_window_s=600.0).plate(site(pinhole())).background is None


def test_mode_schematic_uses_no_camera_pixel() -> None:
    assert watched(40, mode="schematic").plate(site(pinhole())).background is None


def test_without_a_ground_plane_there_is_no_picture() -> None:
    assert watched(40, plane=None).plate(site(pinhole())).background is None


def test_what_was_never_seen_empty_is_hatched() -> None:
    target = watched(40, boxes=(PARKED,))
    picture = picture_of(target.plate(site(pinhole())))
    left, top, right, bottom = PARKED
    hidden = picture[top:bottom, left:right]
    assert set(np.unique(hidden)) == {150, 178}
    assert not (picture > 200).any()


def test_what_stood_there_unseen_is_in_the_plate_coarsely() -> None:
    """The negative control of the test before: without the box the thing shows."""
    picture = picture_of(watched(40).plate(site(pinhole())))
    left, top, right, bottom = PARKED
    assert (picture[top + 20 : bottom - 20, left + 20 : right - 20] > 200).all()


def test_burned_in_text_is_filled_and_lamps_are_blanked() -> None:
    clock, lamp = (0.0, 0.0, 120.0, 40.0), (600.0, 20.0, 616.0, 60.0)
    target = watched(40, osd=[clock], lamps=[lamp])
    picture = picture_of(target.plate(site(pinhole())))
    assert (picture[0:40, 0:120] == 96).all()
    assert (picture[20:60, 600:616] == 40).all()


def test_a_plate_has_six_bits_a_channel_and_is_made_once_a_day() -> None:
    target = watched(40)
    first = target.plate(site(pinhole()))
    picture = picture_of(first)
    left, top, right, bottom = PARKED
    assert len(np.unique(picture[top:bottom, left:right] >> 2)) == len(
        np.unique(picture[top:bottom, left:right])
    )
    for n in range(100):
        target.ingest(frame(road(), 40 + n / 5), Detections.none())
    assert target.plate(site(pinhole())) == first


def test_a_day_later_it_is_made_anew() -> None:
    target = watched(40)
    first = target.plate(site(pinhole()))
    for n in range(300):
        target.ingest(frame(road() // 2, 90_000 + n / 5), Detections.none())
    assert target.plate(site(pinhole())).background != first.background


def test_memory_does_not_grow_with_the_recording() -> None:
    builder = PlateBuilder(SIZE, plane=pinhole(), osd=[], lamps=[])
    picture = road()
    for n in range(2000):
        builder.ingest(picture, float(n))
    assert MAX_SAMPLES / 2 <= len(builder._samples) <= MAX_SAMPLES
    span = builder._samples[-1].time - builder._samples[0].time
    assert span > 1500


@pytest.mark.parametrize(
    ("period_px", "least", "most"),
    [
        pytest.param(4, 0.0, 0.05, id="12.5 lines a metre are gone"),
        pytest.param(8, 0.0, 0.15, id="6.25 lines a metre are all but gone"),
        pytest.param(80, 0.6, 1.0, id="a metre and a half stays"),
    ],
)
def test_no_detail_finer_than_the_cap_passes(period_px: int, least: float, most: float) -> None:
    """Gratings under a camera straight above at 50 px/m, turned in eight directions."""
    plane = overhead(px_per_m=50.0)
    cap = Cap(SIZE, scale_map(plane), image_width=SIZE[0])
    v, u = np.indices((SIZE[1], SIZE[0]))
    for angle in np.arange(8) * np.pi / 8:
        wave = np.sin(2 * np.pi * (u * np.cos(angle) + v * np.sin(angle)) / period_px)
        grating = np.repeat((128 + 100 * wave).astype(np.uint8)[..., None], 3, axis=2)
        middle = cap.apply(grating)[100:-100, 100:-100].astype(float)
        assert least <= middle.std() / grating[100:-100, 100:-100].std() <= most


@pytest.mark.parametrize("plane", [pinhole(), pinhole(height_m=4.0), pinhole((1280, 720)), overhead()])
def test_no_block_is_finer_than_the_cap_where_a_head_can_be(plane: Plane) -> None:
    width, height = plane.image_size
    scale = scale_map(plane)
    cap = Cap(plane.image_size, scale, image_width=width)
    full = cv2.resize(scale, (width, height), interpolation=cv2.INTER_NEAREST)
    assert (cap.blocks_px * MAX_PX_PER_M >= full - 1e-6).all()


def test_a_smaller_picture_of_a_large_image_is_capped_the_same() -> None:
    plane = pinhole((1280, 720), focal_px=1000.0)
    scale = scale_map(plane)
    half = Cap((640, 360), scale, image_width=1280)
    full = cv2.resize(scale, (640, 360), interpolation=cv2.INTER_NEAREST)
    assert (half.blocks_px * 2 * MAX_PX_PER_M >= full - 1e-6).all()


def test_the_plan_maps_metres_to_pixels_as_the_plane_does() -> None:
    plane = pinhole()
    plate = plate_of(site(plane), plane, image_size=SIZE, background=None)
    assert plate.homography is not None
    matrix = np.array(plate.homography).reshape(3, 3)
    assert np.abs(matrix).max() == pytest.approx(1000.0)
    for point in [(0.0, 15.0), (-7.0, 20.0), (5.0, 40.0)]:
        mapped = matrix @ (*point, 1.0)
        assert mapped[:2] / mapped[2] == pytest.approx(plane.image(point), abs=1e-3)
    zebra = next(zone for zone in plate.zones if zone.kind == "crosswalk")
    assert zebra.outline_px is not None
    corners = {tuple(np.round(plane.image(corner), 1)) for corner in [(-8.0, 20.0), (8.0, 20.0)]}
    assert corners <= set(zebra.outline_px)


def test_a_roadway_that_runs_under_the_camera_is_cut_before_it() -> None:
    plane = pinhole()
    behind = site(plane, roadways=[{"id": "avenue", "polygon": [[-4, -50], [4, -50], [4, 500], [-4, 500]]}])
    plate = plate_of(behind, plane, image_size=SIZE, background=None)
    avenue = next(zone for zone in plate.zones if zone.id == "avenue")
    assert avenue.outline_px is not None
    u, v = np.array(avenue.outline_px).T
    assert u.min() >= -SIZE[0]
    assert v.max() <= 2 * SIZE[1]
    # At the horizon 8 m are a point; at the lower edge of the image they are wider than at its middle.
    assert v.min() < 120
    assert np.ptp(u[v > 400]) > np.ptp(u[v < 200])


def test_a_place_beside_the_picture_has_no_outline_in_it() -> None:
    plane = pinhole()
    plate = plate_of(
        site(plane, stop_lines=[{"id": "S", "line": [[-4, -30], [4, -30]], "heading_deg": 90}]),
        plane,
        image_size=SIZE,
        background=None,
    )
    assert [zone.outline_px for zone in plate.zones if zone.kind == "stop_line"] == [None]


def test_a_bent_lens_bends_the_outlines() -> None:
    plain = pinhole()
    lens = Lens(SIZE, bend=-0.2)
    plane = Plane(**{**vars(plain), "lens": lens})
    plate = plate_of(site(plane), plane, image_size=SIZE, background=None)
    zebra = next(zone for zone in plate.zones if zone.kind == "crosswalk")
    assert zebra.outline_px is not None
    assert len(zebra.outline_px) > 4
    assert plate.bend == -0.2
    # Every point of the outline lies on an edge of the crosswalk on the ground.
    ground = plane.ground(np.array(zebra.outline_px))
    beside = np.minimum(np.abs(np.abs(ground[:, 0]) - 8), np.abs(np.abs(ground[:, 1] - 18) - 2))
    assert beside.max() < 0.1
