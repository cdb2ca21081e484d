"""Lamps read from images: drawn heads under noise, exposure and trucks, and a real one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.site import Site
from edge.errors import InputError
from edge.frame import Frame, Gap
from edge.scene import State
from edge.signals.lamp import LampReader, ReadOnTheWay

Image = NDArray[np.uint8]
HEAD: dict[str, Any] = {"signal_group": "N", "region_px": [40, 20, 58, 74], "read": True}
WALK: dict[str, Any] = {**HEAD, "aspects": "pedestrian", "region_px": [40, 20, 60, 60]}
# Blue, green, red of a lit lamp, as cameras show them: the core of a red one turns pink.
COLOURS = {"red": (110, 60, 255), "amber": (60, 170, 255), "green": (200, 255, 80), "walk": (230, 235, 230)}
PLACES = {"red": (49, 29), "amber": (49, 47), "green": (49, 65)}
WALK_PLACES = {"red": (50, 30), "walk": (50, 50)}


def site(*heads: dict[str, Any]) -> Site:
    read = [{"read": True, **head} for head in heads]
    return Site.model_validate_json(json.dumps({"site": {"id": "lamps"}, "signal_heads": read}))


class Street:
    """A drawn street with one head; everything about the picture can change."""

    def __init__(self, *, seed: int = 0, pedestrian: bool = False, noise: float = 4.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._noise = noise
        self._drawn: dict[tuple[frozenset[str], float], NDArray[np.float64]] = {}
        self._places = WALK_PLACES if pedestrian else PLACES
        rows, columns = np.mgrid[0:100, 0:100]
        scene = 90 + 50 * np.sin(columns / 7.0) + 30 * np.cos(rows / 5.0)
        left, top, right, bottom = (WALK if pedestrian else HEAD)["region_px"]
        scene[top - 2 : bottom + 2, left - 2 : right + 2] = 22
        self._scene = np.repeat(scene[:, :, None], 3, axis=2)
        self._distance = {
            name: np.hypot(columns - x, rows - y)[:, :, None] for name, (x, y) in self._places.items()
        }

    def picture(self, lit: set[str], *, gain: float = 1.0, sun: float = 0.0, truck: int = 0) -> Image:
        """Draw the street; ``sun`` makes dark lenses glow, ``truck`` is the column its front has reached."""
        drawn = (frozenset(lit), sun)
        if drawn not in self._drawn:
            self._drawn[drawn] = self._draw(lit, sun)
        image = self._drawn[drawn]
        image = image * gain + self._rng.normal(0, self._noise, image.shape)
        if truck > 0:
            image[:, :truck] = (150, 150, 160)
            image[60:70, max(0, truck - 9) : truck] = (40, 40, 230)  # its tail light
        return np.clip(image, 0, 255).astype(np.uint8)

    def _draw(self, lit: set[str], sun: float) -> NDArray[np.float64]:
        image = self._scene.copy()
        for name, distance in self._distance.items():
            colour = np.array(COLOURS[name], float)
            image = np.where(distance < 7, 0.7 * image + sun * 0.3 * colour, image)
            if name in lit:
                image = np.where(distance < 6, colour, image + 0.5 * colour * np.exp(-distance / 3.0))
        return image


def states(reader: LampReader, *, until: float) -> list[State]:
    """What the group showed once a second."""
    return [reader.history.at("N", second + 0.5).state for second in range(int(until))]


def test_a_cycle_is_read_with_its_onsets() -> None:
    street, reader = Street(), LampReader(site(HEAD))
    for index in range(300):
        time = index / 10
        lit = "green" if time < 10.05 else "amber" if time < 14.05 else "red"
        reader.observe(street.picture({lit}), time)
    changes = reader.history.changes("N", 0.0, 99.0)
    assert [each.state for each in changes] == ["amber", "red"]
    assert [each.since for each in changes] == [pytest.approx(10.05), pytest.approx(14.05)]
    assert changes[0].source == "lamp" and changes[0].sigma_s == pytest.approx(0.1 / 12**0.5)


@pytest.mark.parametrize(
    ("lit", "state"),
    [({"red"}, "red"), ({"amber"}, "amber"), ({"green"}, "green"), ({"red", "amber"}, "red_amber")],
)
@pytest.mark.parametrize(
    "light",
    [
        pytest.param((1.0, 0.0), id="by day"),
        pytest.param((1.0, 0.5), id="low sun on the lenses"),
        pytest.param((0.45, 0.0), id="dark exposure"),
        pytest.param((2.0, 0.0), id="overexposed"),
    ],
)
def test_a_steady_lamp(lit: set[str], state: State, light: tuple[float, float]) -> None:
    street, reader = Street(), LampReader(site(HEAD))
    for index in range(20):
        reader.observe(street.picture(lit, gain=light[0], sun=light[1]), index / 10)
    assert reader.history.at("N", 1.9).state == state


def test_exposure_may_jump_at_any_time() -> None:
    street, reader = Street(), LampReader(site(HEAD))
    rng = np.random.default_rng(3)
    for index in range(300):
        time = index / 10
        lit = "red" if time < 15 else "green"
        gain = 1.0 if index % 40 < 20 else float(rng.uniform(0.5, 1.7))
        reader.observe(street.picture({lit}, gain=gain), time)
    assert states(reader, until=29)[2:] == ["red"] * 13 + ["green"] * 14


def test_a_truck_with_a_red_light_passing_the_green_shows_no_red() -> None:
    street, reader = Street(), LampReader(site(HEAD))
    known: Counter[State] = Counter()
    for index in range(300):
        time = index / 10
        truck = int((time - 10) * 40) if 10 <= time < 12.5 else 0
        reader.observe(street.picture({"green"}, truck=truck), time)
        known[reader.history.at("N", time).state] += 1
    assert set(known) == {"green", "unknown"}
    assert reader.history.at("N", 11.5).state == "green"  # seen before and after: it stayed
    assert known["unknown"] > 5  # yet while it was hidden nobody could tell


def test_lamps_that_say_different_things_say_nothing() -> None:
    street, reader = Street(), LampReader(site(HEAD))
    for index in range(30):
        reader.observe(street.picture({"red", "green"}), index / 10)
    assert reader.history.at("N", 2.9).state == "unknown"


def test_no_lamp_at_all_is_dark_and_never_red() -> None:
    street, reader = Street(), LampReader(site(HEAD))
    for index in range(80):
        reader.observe(street.picture(set(), sun=0.3), index / 10)
    assert states(reader, until=8)[5] == "dark"


def test_a_pedestrian_head_from_walk_over_flashing_to_steady() -> None:
    street, reader = Street(pedestrian=True), LampReader(site(WALK))
    for index in range(300):
        time = index / 10
        flash_on = (time - 10.0) % 1.0 < 0.5
        lit = {"walk"} if time < 9.95 else {"red"} if time > 19.95 or flash_on else set()
        reader.observe(street.picture(lit), time)
    seen = states(reader, until=29)
    assert seen[2:9] == ["green"] * 7 and seen[11:19] == ["amber"] * 8 and seen[22:] == ["red"] * 7


def test_two_heads_of_one_group_help_each_other() -> None:
    # The second head's region shows only the street: it has no lamp lit, which contradicts the first.
    blind = {**HEAD, "region_px": [70, 20, 88, 74]}
    street, alone, both = Street(), LampReader(site(HEAD)), LampReader(site(HEAD, blind))
    for index in range(30):
        picture = street.picture({"red"})
        alone.observe(picture, index / 10)
        both.observe(picture, index / 10)
    assert (alone.history.at("N", 2.9).state, both.history.at("N", 2.9).state) == ("red", "unknown")


def test_a_turned_camera_is_learnt_anew() -> None:
    street, reader = Street(), LampReader(site(HEAD))
    for index in range(600):
        time = index / 10
        picture = street.picture({"red"})
        reader.observe(picture if time < 10 else np.ascontiguousarray(picture[::-1, ::-1]), time)
        if time < 29 and time > 11.5:
            assert reader.history.at("N", time).state == "unknown"


def test_a_head_outside_the_image_is_named() -> None:
    with pytest.raises(InputError, match="signal head N: region_px 40, 20, 58, 74 lies outside"):
        LampReader(site(HEAD)).observe(np.zeros((100, 50, 3), np.uint8), 0.0)


def test_a_head_that_is_only_to_be_blanked_is_not_read() -> None:
    assert LampReader(site({**HEAD, "read": False})).groups == frozenset()


def test_frames_pass_the_reader_on_their_way() -> None:
    street = Street()
    frames = [Frame(index, index / 10, 0.0, street.picture({"red"})) for index in range(20)]

    class Recording:
        gaps = (Gap(1.0, 1.1, "lost"),)

        def __iter__(self) -> Iterator[Frame]:
            return iter(frames)

    reader = LampReader(site(HEAD))
    source = ReadOnTheWay(Recording(), reader)
    assert list(source) == frames and source.gaps == (Gap(1.0, 1.1, "lost"),)
    assert reader.history.at("N", 1.9).state == "red"


@pytest.mark.data
def test_the_red_of_a_real_crosswalk(data: Path) -> None:
    import av

    heads = [
        {"signal_group": "N", "region_px": [113, 69, 139, 80], "orientation": "horizontal"},
        {"signal_group": "walk", "aspects": "pedestrian", "region_px": [23, 119, 28, 129]},
        {"signal_group": "wall", "region_px": [560, 40, 574, 82]},  # windows of a house
    ]
    reader = LampReader(site(*heads))
    known: Counter[tuple[str, State]] = Counter()
    with av.open(str(data / "video/rox_crosswalk.mp4")) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            reader.observe(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), frame.time)
            for group in reader.groups:
                known[group, reader.history.at(group, frame.time).state] += 1
    frames = sum(known.values()) // len(heads)
    assert (
        known["N", "red"] + known["N", "unknown"] == known["walk", "red"] + known["walk", "unknown"] == frames
    )
    assert known["N", "red"] > 0.85 * frames and known["walk", "red"] > 0.85 * frames  # the vote takes 1.2 s
    assert {state for group, state in known if group == "wall"} <= {"dark", "unknown"}


@pytest.mark.data
@pytest.mark.parametrize("clip", ["strudl_vid0.mp4", "strudl_vid1.mp4"])
def test_heads_seen_from_behind_and_from_the_side_show_nothing(data: Path, clip: str) -> None:
    """Whether their lamps are lit nobody can tell from there, so nothing may be claimed but dark."""
    import av

    regions = {
        "N1": ([306, 0, 319, 19], {}), "N3": ([487, 0, 500, 36], {}), "S": ([368, 368, 410, 444], {}),
        "W": ([0, 118, 28, 166], {}), "south": ([0, 168, 36, 214], {"aspects": "pedestrian"}),
        "east": ([583, 234, 606, 280], {"aspects": "pedestrian"}),
    }  # fmt: skip
    reader = LampReader(
        site(*({"signal_group": name, "region_px": px, **more} for name, (px, more) in regions.items()))
    )
    seen: set[tuple[str, State]] = set()
    with av.open(str(data / "video" / clip)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            reader.observe(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), frame.time)
            seen |= {(name, reader.history.at(name, frame.time).state) for name in regions}
    assert {state for _, state in seen} <= {"unknown", "dark"}
