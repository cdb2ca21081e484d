"""What the gate leaves out, whether the verdicts stay the same, and how fast an ordinary minute goes by.

Each street is analysed twice, looking at every frame and through the gate; events count as the same in
rule, outcome and place, and within 0.1 s. Drawn streets are seen by a detector that knows what was drawn
(edge/bench/knowing.py), real ones by a network. Throughput is that of the ordinary minute with a network
computing at each look, against bare inference of the same network with the same threads on every frame, in
turns in one run.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.analyze import line_of
from edge.attention import CAREFUL, THRIFTY, USUAL, Policy
from edge.bench import ordinary, pets
from edge.bench.knowing import KnowingDetector
from edge.bench.section import Section
from edge.demo.camera import Camera
from edge.demo.junction import START
from edge.demo.setting import SETTINGS
from edge.demo.story import DURATION_S, FRAME_RATE_HZ, PLAN, Actor, actors
from edge.opening import default_threads, opened
from edge.pipeline import Due
from edge.rules.finding import Finding
from edge.timings import Timings
from models.onnx import OnnxDetector
from models.zoo import load

MODEL = Path("weights/deimv2-femto.onnx")
STRUDL_SITE = Path(__file__).resolve().parents[2] / "examples" / "strudl" / "site.toml"
ROUNDS = 2
SAME_S = 0.1
# What is left of a tenth of a second when two times of 1.8e9 s are subtracted.
ROUNDING_S = 1e-6
GOAL = 3.0


@dataclass(frozen=True)
class Street:
    """One recording, and who is on it where that is known."""

    name: str
    video: Path
    site: Path
    signals: Path | None = None
    times: Path | None = None
    start: str | None = None
    people: Sequence[Actor] = ()
    setting: str = "afternoon"
    camera: Camera | None = None  # where it is none of the demo's


@dataclass(frozen=True)
class Passage:
    """One analysis of a street."""

    frames: int
    looks: int
    findings: tuple[Finding, ...]
    wall_s: float
    timings: Timings


# From the most looks to the fewest; the middle one is what `--gate on` takes.
POLICIES = {"careful": CAREFUL, "usual": USUAL, "thrifty": THRIFTY}
MINUTE = "an ordinary minute"


def measure(data: Path) -> Section:
    """Analyse every street without the gate and with it, the ordinary minute with each policy."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        for street in streets(data, Path(name)):
            every = passed(street, str(data / MODEL), gated=False)
            other = passed(street, str(data / MODEL), gated=False, seed=2) if street.people else None
            for title in _titles(street):
                policy = POLICIES[title]
                some = passed(street, str(data / MODEL), gated=True, policy=policy)
                row = _compared(street, title, every, some)
                rows.append(row)
                numbers[f"{street.name}, {title}"] = {
                    "frames": some.frames,
                    "looked_share": some.looks / some.frames,
                    "differing": differing(every.findings, some.findings),
                }
            if other is not None:
                rows.append(_compared(street, "no gate, other noise", every, other))
        minute = next(street for street in streets(data, Path(name), drawn=False) if street.name == MINUTE)
        ratios, threads = _ratios(minute, str(data / MODEL))
    middle = {title: statistics.median(each) for title, each in ratios.items()}
    said = ", ".join(f"{title} {ratio:.2f}" for title, ratio in middle.items())
    return Section(
        title="The gate: frames looked at, and events that differ from looking at every one",
        columns=("street", "policy", "looked", "decided", "differ", "undecidable", "differ"),
        rows=rows,
        numbers={"streets": numbers, "ordinary_ratio": middle, "ratios": ratios, "threads": threads},
        remarks=(
            f"The ordinary minute (25 Hz, 848×480), of bare inference on every frame, in turns: {said} "
            f"(goal {GOAL:g}; {threads} thread(s)).",
        ),
    )


def _titles(street: Street) -> tuple[str, ...]:
    """Return the policies a street is analysed with: all where the gate leaves out much."""
    return tuple(POLICIES) if street.name == MINUTE else ("usual",)


def _compared(street: Street, title: str, every: Passage, some: Passage) -> tuple[str, ...]:
    """Return a row: decided events and undecidable ones, and how many of each one of two runs has alone."""
    alone = differing(every.findings, some.findings)
    decided = sum(" occurred " in each for each in alone)
    claims = sum(finding.outcome == "occurred" for finding in every.findings)
    return (
        street.name,
        title,
        f"{some.looks / some.frames:.2f}",
        str(claims),
        str(decided),
        str(len(every.findings) - claims),
        str(len(alone) - decided),
    )


def passed(
    street: Street,
    model: str,
    *,
    gated: bool,
    policy: Policy = USUAL,
    network: bool = False,
    seed: int = 1,
    timings: Timings | None = None,
) -> Passage:
    """Send a street down the line.

    Args:
        network: lets the network compute beside the detector that knows.
        seed: of the noise of the detector that knows.
    """
    inputs = opened(
        street.video,
        site=street.site,
        signals=street.signals,
        model=model,
        provider=None,
        threads=None,
        out=street.video.parent / "none",
        start=street.start,
        times=street.times,
        clips="scene",
        gate="on" if gated else "off",
    )
    timings = timings or Timings()
    with inputs.source:
        knows: KnowingDetector | None = None
        if street.people:
            knows = KnowingDetector(
                street.people,
                street.camera or SETTINGS[street.setting].camera,
                start_time=inputs.source.start_time,
                network=inputs.detector if network else None,
                seed=seed,
            )
            inputs = dataclasses.replace(inputs, detector=knows)
        line, _, _ = line_of(inputs, timings=timings)
        if line.lookout is not None:
            line.lookout.policy = policy
        if knows is not None:
            line.source = knows.shown(line.source)
        begin = time.perf_counter()
        frames = looks = 0
        due: list[Due] = []
        for moment in line:
            frames += 1
            looks += moment.looked
            due += moment.due
        due += line.finish()
        wall_s = time.perf_counter() - begin
    return Passage(frames, looks, tuple(finding for finding, _ in due), wall_s, timings)


def differing(every: Sequence[Finding], some: Sequence[Finding]) -> list[str]:
    """Return the events, in words, that one of two analyses has alone."""
    left = list(some)
    alone = []
    for finding in every:
        same = [other for other in left if _words(other) == _words(finding)]
        same = [other for other in same if abs(other.time - finding.time) <= SAME_S + ROUNDING_S]
        if same:
            left.remove(min(same, key=lambda other: abs(other.time - finding.time)))
        else:
            alone.append(f"without the gate alone: {_words(finding)}")
    return alone + [f"with the gate alone: {_words(finding)}" for finding in left]


def _words(finding: Finding) -> str:
    return f"{finding.rule} {finding.outcome} {finding.place} {finding.road_user}"


def streets(data: Path, folder: Path, *, drawn: bool = True) -> list[Street]:
    """Return the streets; ``drawn``: draw those that are not there yet."""
    streets = []
    minute = folder / "minute"
    if drawn:
        ordinary.draw(minute)
    streets.append(_drawn(MINUTE, minute, ordinary.minute(), "afternoon"))
    for setting in SETTINGS:
        film = folder / setting
        if drawn:
            ordinary.film_of(
                film, actors(), SETTINGS[setting], PLAN, duration_s=DURATION_S, frame_rate_hz=FRAME_RATE_HZ
            )
        streets.append(_drawn(f"demo, {setting}", film, actors(), setting))
    for clip in ("strudl_vid0", "strudl_vid1"):
        video = data / "video" / f"{clip}.mp4"
        streets.append(Street(clip, video, STRUDL_SITE, times=video.with_suffix(".log")))
    streets.append(Street("PETS S2L1", pets.video(data), pets.write_site(folder / "pets.toml", data)))
    return streets


def _drawn(name: str, folder: Path, people: Sequence[Actor], setting: str) -> Street:
    return Street(
        name,
        folder / "video.mp4",
        folder / "site.toml",
        signals=folder / "signals.csv",
        start=START,
        people=people,
        setting=setting,
    )


def _ratios(street: Street, model: str) -> tuple[dict[str, list[float]], int]:
    """Return bare inference on every frame over the gated line, a round each policy, and the threads."""
    threads = default_threads()
    detector = load(model, threads=threads)
    ratios: dict[str, list[float]] = {title: [] for title in POLICIES}
    for _ in range(ROUNDS):
        for title, policy in POLICIES.items():
            before_s = bare_s(detector)
            run = passed(street, model, gated=True, policy=policy, network=True)
            frame_s = (before_s + bare_s(detector)) / 2
            ratios[title].append(frame_s * run.frames / run.wall_s)
    return ratios, threads


def bare_s(detector: OnnxDetector, count: int = 150) -> float:
    """Return the seconds that bare inference of a frame takes."""
    begin = time.perf_counter()
    for _ in range(count):
        detector.infer()
    return (time.perf_counter() - begin) / count
